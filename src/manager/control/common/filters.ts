type Labels = Readonly<Record<string, string>>;

/** Whether a list filter is absent or names the value. The case counts. */
export const isAmong = <T>(wanted: readonly T[], value: T): boolean =>
  wanted.length === 0 || wanted.includes(value);

/** Whether a list filter is absent or holds a prefix of the value. The case counts. */
const hasPrefixAmong = (prefixes: readonly string[], value: string): boolean =>
  prefixes.length === 0 || prefixes.some((prefix) => value.startsWith(prefix));

/** Whether every wanted label is there, with the wanted value if one is wanted. */
export const hasLabels = (wanted: Labels, labels: Labels | undefined): boolean =>
  Object.entries(wanted).every(([key, value]) => {
    if (labels === undefined || !Object.hasOwn(labels, key)) return false;
    return value === '' || labels[key] === value;
  });

/** What every kind of object is listed by. Lists within are alternatives; all must hold. */
export interface CommonFilters {
  readonly names: readonly string[];
  readonly namePrefixes: readonly string[];
  readonly idPrefixes: readonly string[];
  readonly labels: Labels;
}

/** Whether an object is one that the filters ask for; without filters every object is. */
export const passes = (
  filters: CommonFilters | null,
  object: { readonly id: string; readonly name: string; readonly labels: Labels | undefined },
): boolean =>
  filters === null ||
  (isAmong(filters.names, object.name) &&
    hasPrefixAmong(filters.namePrefixes, object.name) &&
    hasPrefixAmong(filters.idPrefixes, object.id) &&
    hasLabels(filters.labels, object.labels));

/** A table or a message with IDs, ages and the Engine's version replaced by words of one width. */
export function mask(text: string): string {
  return text
    .replaceAll(/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/gu, 'TOKEN')
    .replaceAll(/\b[0-9a-z]{25}\b/gu, 'ID'.padEnd(25, '-'))
    .replaceAll(/^[0-9a-z]{12}\b/gmu, 'ID'.padEnd(12, '-'))
    .replaceAll(/\b(Less than a|less than a|about a|\d+) (second|minute)s? ago/gu, 'AGO')
    .replaceAll(/\d+\.\d+\.\d+\+dfsg\d+/gu, 'VERSION')
    .replaceAll(/127\.0\.0\.1:\d+/gu, 'ADDRESS');
}

import type { Random } from '../../../runtime/index.ts';

const adjectives = (
  'amber bold brave bright brisk calm candid clever cosmic curious daring deft ' +
  'eager early epic fair fond gentle glad golden happy hardy honest keen kind ' +
  'lively lucid mellow merry modest nimble noble patient placid polite proud quick ' +
  'quiet serene sharp silent sincere steady sunny swift tidy vivid warm wise witty'
).split(' ');

const surnames = (
  'abel ampere babbage banach bell bohr boole cantor carson church curie darwin ' +
  'dijkstra dirac euler faraday fermat fermi franklin galois gauss germain goldberg ' +
  'hamilton hilbert hopper huygens jemison kepler knuth lamport leibniz liskov ' +
  'lovelace maxwell meitner mendel mirzakhani morse newton noether nobel ohm pascal ' +
  'pasteur perlman planck ramanujan ride ritchie shannon tesla thompson turing ' +
  'volta'
).split(' ');

/** A name for a service that was given none: an adjective and a surname, as Docker's are. */
export const randomServiceName = (random: Random): string =>
  `${anyOf(adjectives, random)}_${anyOf(surnames, random)}`;

const anyOf = (words: readonly string[], random: Random): string =>
  words[random.integer(words.length)] ?? '';

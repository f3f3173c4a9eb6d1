// Compares trace files with what src/raft/core answers: npm run raft-trace -- [--record] FILE…
// With --record the answers are written into the files instead.
import { readFileSync, writeFileSync } from 'node:fs';
import { record, replay } from '../test/raft/trace/replay.ts';

const isRecording = process.argv[2] === '--record';
const files = process.argv.slice(isRecording ? 3 : 2);
if (files.length === 0) {
  console.error('usage: npm run raft-trace -- [--record] FILE…');
  process.exitCode = 2;
}

const indent = (text) => (text === '' ? '  ok' : text.replaceAll(/^/gmu, '  '));

for (const file of files) {
  const text = readFileSync(file, 'utf8');
  if (isRecording) {
    writeFileSync(file, record(text));
    continue;
  }
  const { agreed, skipped, difference } = replay(text);
  const rest = skipped === undefined ? '' : `, ${skipped.cases} skipped: ${skipped.why}`;
  console.log(`${file}: ${agreed} cases agree${rest}`);
  if (difference === undefined) continue;
  const { line, command, expected, actual } = difference;
  console.log(`line ${line}: ${command}\nexpected\n${indent(expected)}\nbut got\n${indent(actual)}`);
  process.exitCode = 1;
}

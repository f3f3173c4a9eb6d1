import { testLogStore } from '../../compliance/log-store.ts';
import { MemoryLogStore } from '../../support/memory-log-store.ts';

testLogStore('MemoryLogStore', {
  create: async () => Promise.resolve(new MemoryLogStore()),
  reopen: async (store) => {
    if (!(store instanceof MemoryLogStore)) throw new Error('it is the one that was made');
    return Promise.resolve(store.reopen());
  },
});

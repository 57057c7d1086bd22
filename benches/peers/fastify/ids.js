// Ids of rooms as the service makes them: 994, milliseconds since 2025, and a counter that starts somewhere.
import { randomInt } from 'node:crypto';

const EPOCH_MS = Date.UTC(2025, 0, 1);
const PER_MS = 1_000;

export function roomIds() {
  const offset = randomInt(PER_MS);
  let last = 0;
  return () => {
    last = Math.max(last + 1, (Date.now() - EPOCH_MS) * PER_MS + offset);
    return `994${String(last).padStart(15, '0')}`;
  };
}

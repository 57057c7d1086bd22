// Waiting for what happens, never for a while: a log of events that can be awaited and looked back on.
import assert from "node:assert/strict";
import { inspect } from "node:util";

/** How long a test waits for what should come at once, on a machine that is busy. */
const PATIENCE = 10_000;

/** The promise, which fails when it takes too long. */
export async function within(promise, wanted, limit = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `waited ${limit} ms for ${wanted}` })), limit);
    // Where several are raced, the losers keep nobody waiting.
    timer.unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Events in the order in which they came. */
export class Log {
  items = [];
  #waiting = new Set();

  push(item) {
    this.items.push(item);
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves, with what `seen` makes of all items, when that is something. */
  until(seen, limit = PATIENCE) {
    const found = new Promise((resolve, reject) => {
      const look = () => {
        try {
          const result = seen(this.items);
          if (!result) return;
          resolve(result);
        } catch (error) {
          reject(error);
        }
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
    return within(found, seen.toString(), limit).catch((error) => {
      error.message += `\nseen: ${inspect(this.items.slice(-20), { depth: 6, breakLength: 160, maxStringLength: 200 })}`;
      throw error;
    });
  }

  /** The first item that is as wanted, from the past or the future. */
  first(wanted, limit) {
    return this.until((items) => items.find(wanted), limit);
  }

  /** Resolves when there are that many items. */
  count(number, limit) {
    return this.until((items) => items.length >= number && items, limit);
  }
}

/** A log of all that a subscription tells. */
export function record(subscribe) {
  const log = new Log();
  subscribe((item) => log.push(item));
  return log;
}

/** Asks again and again until the answer is as wanted. For what has no event: answers over HTTP. */
export async function eventually(ask, wanted, limit = PATIENCE) {
  const deadline = Date.now() + limit;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    assert.ok(Date.now() < deadline, `after ${limit} ms still ${inspect(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A while of real time, for the tests of clocks alone. */
export function pass(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

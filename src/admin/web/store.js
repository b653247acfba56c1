// What several parts of the page look at: a thing that says when it has changed.

import { useEffect, useState } from './html.js';

export class Store {
  #listeners = new Set();
  #told = false;
  version = 0;

  /** Many changes at once, a snapshot for example, are told once. */
  changed() {
    this.version += 1;
    if (this.#told) return;
    this.#told = true;
    setTimeout(() => {
      this.#told = false;
      for (const listener of [...this.#listeners]) listener();
    }, 0);
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Draws the component anew whenever the store changes. */
export function useStore(store) {
  const [, draw] = useState(store.version);
  useEffect(() => {
    const tell = () => draw(store.version);
    // It may have changed between the drawing and now.
    tell();
    return store.subscribe(tell);
  }, [store]);
  return store;
}

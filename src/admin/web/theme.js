// Light, dark, or as the system has it. The choice is kept in this browser.

import { Store } from './store.js';

const KEY = 'rollcall.admin.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

class Theme extends Store {
  /** `light`, `dark`, or null: the system's. */
  chosen = localStorage.getItem(KEY);

  constructor() {
    super();
    this.#apply();
    system.addEventListener('change', () => this.#apply());
  }

  get isDark() { return this.chosen ? this.chosen === 'dark' : system.matches; }

  toggle() {
    const wanted = this.isDark ? 'light' : 'dark';
    // Whoever wants what the system has follows the system again.
    this.chosen = (wanted === 'dark') === system.matches ? null : wanted;
    if (this.chosen) localStorage.setItem(KEY, this.chosen);
    else localStorage.removeItem(KEY);
    this.#apply();
  }

  #apply() {
    document.documentElement.dataset.theme = this.isDark ? 'dark' : 'light';
    this.changed();
  }
}

export const theme = new Theme();

// Short notes that go by themselves, said to screen readers too.

import { Store } from './store.js';

const SHOWN_MS = 7000;

class Notices extends Store {
  shown = [];
  #next = 0;

  add(text, kind) {
    const notice = { id: this.#next++, text, kind };
    this.shown = [...this.shown.slice(-2), notice];
    this.changed();
    setTimeout(() => this.remove(notice.id), SHOWN_MS);
  }

  remove(id) {
    this.shown = this.shown.filter(notice => notice.id !== id);
    this.changed();
  }
}

export const notices = new Notices();

export const say = text => notices.add(text, 'good');
export const complain = text => notices.add(text, 'bad');

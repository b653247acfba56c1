// Where in the page one is: all of it stands in the address behind `#`, so that it can be shared.

import { Store } from './store.js';

class Route extends Store {
  screen = '';
  /** What stands behind the screen's name: a user, a call. */
  id = '';
  query = new URLSearchParams();

  constructor() {
    super();
    this.#read();
    addEventListener('hashchange', () => {
      this.#read();
      this.changed();
    });
  }

  #read() {
    const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
    const [screen, ...id] = path.split('/');
    this.screen = screen || 'overview';
    this.id = decoded(id.join('/'));
    this.query = new URLSearchParams(query);
  }

  /** The same screen with other filters, without another step to go back. */
  refine(query) {
    const [text, path] = [query.toString(), location.hash.split('?')[0] || `#/${this.screen}`];
    history.replaceState(null, '', text ? `${path}?${text}` : path);
    this.#read();
    this.changed();
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = new Route();

export const userLink = user => `#/user/${encodeURIComponent(user)}`;

export function sessionsLink(filters) {
  return `#/sessions?${new URLSearchParams(filters)}`;
}

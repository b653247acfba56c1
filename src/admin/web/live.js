// A list of sessions that is kept true without moving under the reader's eyes: what ends stays where
// it is, marked; what is new is counted; both are settled when the reader asks for it.

import { ApiError, access, call, watch } from './api.js';
import { Store } from './store.js';

/** So many sessions are watched as a whole; of more, pages are shown that stand still. */
export const WATCHED_MAX = 20_000;
const PAGE = 200;
const TRIES_MAX = 3;
const NOT_AVAILABLE = 108;
/** What became of a session that ended while the stream was broken. */
const UNHEARD = { code: null, reason: 'ended while this page was not connected' };
/** How long a page that nobody sees keeps its stream. */
const UNSEEN_MAX_MS = 3000;
const WAIT_MIN_MS = 300;
const WAIT_MAX_MS = 5000;

export class SessionList extends Store {
  /** `loading`, `shown` or `failed`. */
  phase = 'loading';
  error = null;
  /** Whether changes are told as they happen; else these are pages. */
  isLive = false;
  /** The stream is broken: what is shown may be old. */
  isStale = false;
  /** Client ids as they are shown, and what is known of each. */
  rows = [];
  sessions = new Map();
  /** Of those shown, what became of them: `{code, reason}`. */
  gone = new Map();
  /** Sessions that came and are not shown yet. */
  fresh = new Map();
  /** Everything that matches, shown or not. */
  count = 0;
  loadedAt = null;
  isMore = false;
  isLoadingMore = false;
  moreError = null;
  expressionErrors = 0;
  #selector;
  #sort;
  #isClosed;
  #cursor;
  /** Live: what is there now. */
  #present = new Map();
  #abort = new AbortController();

  /** `state`: `open` or `closed`. Begins at once; `stop` ends it. */
  constructor({ selector, sort, state = 'open' }) {
    super();
    this.#selector = selector;
    this.#sort = sort;
    this.#isClosed = state === 'closed';
    this.#begin();
  }

  stop() {
    this.#abort.abort();
  }

  /** Shows what is new and takes away what has gone. */
  settle() {
    if (!this.isLive) return;
    this.sessions = new Map(this.#present);
    this.gone = new Map();
    this.fresh = new Map();
    this.rows = [...this.sessions.keys()].sort(this.#order());
    this.loadedAt = Date.now();
    this.changed();
  }

  get isUnsettled() { return this.fresh.size > 0 || this.gone.size > 0; }

  /** What an order has ended, for lists that are not told of it. */
  closed(clients, code, reason) {
    for (const client of clients) {
      if (this.sessions.has(client) && !this.gone.has(client)) this.gone.set(client, { code, reason });
    }
    this.changed();
  }

  async #begin() {
    try {
      const head = await this.#ask({ count_only: true });
      this.count = head.count;
      this.expressionErrors = head.expression_errors ?? 0;
      if (this.#isClosed || head.count > WATCHED_MAX) await this.more();
      else await this.#follow();
    } catch (error) {
      // As many watch as may: pages need no watch.
      if (error.code === NOT_AVAILABLE && this.phase === 'loading') await this.more();
      else this.#fail(error);
    }
  }

  #ask(keys) {
    const state = this.#isClosed ? { state: 'closed' } : {};
    return call('connections', { ...this.#selector, ...state, ...keys }, this.#abort.signal);
  }

  /** The next page. */
  async more() {
    if (this.isLoadingMore) return;
    this.isLoadingMore = true;
    this.moreError = null;
    this.changed();
    try {
      const page = await this.#wholePage();
      this.#cursor = page.next_cursor;
      this.isMore = page.next_cursor !== undefined;
      this.count = page.count;
      this.expressionErrors = page.expression_errors ?? 0;
      this.rows = [...this.rows, ...page.clients];
      for (const client of page.clients) this.sessions.set(client, page.connections[client]);
      this.phase = 'shown';
      this.loadedAt ??= Date.now();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      if (this.phase === 'shown') this.moreError = error.message;
      else this.#fail(error);
    } finally {
      this.isLoadingMore = false;
      this.changed();
    }
  }

  /** A page that lacks a part is asked for again. */
  async #wholePage() {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const page = await this.#ask({ sort: this.#sort, limit: PAGE, cursor: this.#cursor });
      if (!page.partial) return page;
    }
    throw new ApiError('refused', 'A part of the server did not answer in time.');
  }

  #fail(error) {
    if (this.#abort.signal.aborted) return;
    // Whoever has to sign in first finds the list loaded afterwards.
    if (error.kind === 'signed-out' || error.kind === 'lost') {
      this.#whenBack(() => this.#begin());
      return;
    }
    this.phase = 'failed';
    this.error = error.message;
    this.changed();
  }

  #whenBack(then) {
    const signal = this.#abort.signal;
    const tryNow = () => {
      if (signal.aborted) return leave();
      if (access.state !== 'in' || access.lostSince !== null) return;
      leave();
      then();
    };
    const leave = access.subscribe(tryNow);
    tryNow();
  }

  async #follow() {
    const { signal } = this.#abort;
    this.isLive = true;
    for (let wait = WAIT_MIN_MS; !signal.aborted;) {
      try {
        await this.#hear(signal, () => { wait = WAIT_MIN_MS; });
      } catch (error) {
        if (signal.aborted) return;
        if (error.kind === 'refused') {
          this.isLive = false;
          throw error;
        }
      }
      if (signal.aborted) return;
      this.isStale = true;
      this.changed();
      await seen();
      if (access.state !== 'in') await new Promise(resolve => this.#whenBack(resolve));
      else await new Promise(resolve => setTimeout(resolve, wait));
      wait = Math.min(2 * wait, WAIT_MAX_MS);
    }
  }

  /** One stream from its snapshot to its end. */
  async #hear(signal, onReady) {
    const wanted = new AbortController();
    const forget = whenUnwanted(() => wanted.abort());
    try {
      await this.#hearAll(AbortSignal.any([signal, wanted.signal]), onReady);
    } finally {
      forget();
    }
  }

  async #hearAll(signal, onReady) {
    let snapshot = new Map();
    for await (const events of watch(this.#selector, signal)) {
      for (const event of events) {
        if (event.type === 'resync') return;
        if (snapshot === null) {
          this.#hearChange(event);
        } else if (event.type === 'ready') {
          this.#take(snapshot);
          snapshot = null;
          onReady();
        } else {
          note(snapshot, event);
        }
      }
      if (this.#present.size > 2 * WATCHED_MAX)
        throw new ApiError('refused', 'So many sessions have come that each can no longer be followed.');
      if (snapshot === null) this.changed();
    }
  }

  /** What is there, after the first stream or another one has begun. */
  #take(present) {
    this.#present = present;
    this.isStale = false;
    this.count = present.size;
    if (this.phase !== 'shown') {
      this.phase = 'shown';
      this.settle();
      return;
    }
    for (const client of this.rows) {
      const session = present.get(client);
      if (session) this.sessions.set(client, session);
      else if (!this.gone.has(client)) this.gone.set(client, UNHEARD);
    }
    this.fresh = new Map([...present].filter(([client]) => !this.sessions.has(client)));
    if (this.rows.length === 0) this.settle();
  }

  #hearChange(event) {
    const { client } = event;
    note(this.#present, event);
    this.count = this.#present.size;
    const isThere = this.#present.has(client);
    if (this.sessions.has(client)) {
      if (isThere) {
        this.sessions.set(client, event.connection);
        this.gone.delete(client);
      } else {
        const reason = event.type === 'left' ? 'is none of these any more' : event.reason;
        this.gone.set(client, { code: event.code ?? null, reason });
      }
    } else if (isThere) {
      this.fresh.set(client, event.connection);
    } else {
      this.fresh.delete(client);
    }
    // An empty list has nothing that could jump.
    if (this.rows.length === 0 && this.fresh.size > 0) this.settle();
  }

  #order() {
    const sign = this.#sort.startsWith('-') ? -1 : 1;
    const key = this.#sort.replace('-', '') === 'user'
      ? client => this.sessions.get(client).user ?? ''
      : client => this.sessions.get(client).connected_at_ms ?? 0;
    return (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x !== y) return x < y ? -sign : sign;
      return a < b ? -sign : sign;
    };
  }
}

/** Puts a session into a set or takes it out, as an event says. */
function note(set, event) {
  if (event.type === 'snapshot') {
    for (const [client, session] of Object.entries(event.connections)) set.set(client, session);
  } else if (event.type === 'closed' || event.type === 'left') {
    set.delete(event.client);
  } else {
    set.set(event.client, event.connection);
  }
}

/**
 * Calls when a stream is for nobody: the page has been out of sight for a while, where it would hold
 * one of the six connections that all tabs share, or its person has signed out.
 */
function whenUnwanted(end) {
  let timer;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(end, UNSEEN_MAX_MS);
  };
  const leave = access.subscribe(() => { if (access.state !== 'in') end(); });
  document.addEventListener('visibilitychange', look);
  return () => {
    clearTimeout(timer);
    leave();
    document.removeEventListener('visibilitychange', look);
  };
}

/** Until somebody looks at the page. */
async function seen() {
  while (document.hidden)
    await new Promise(resolve => document.addEventListener('visibilitychange', resolve, { once: true }));
}

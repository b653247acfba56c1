// How the node is: asked every two seconds while somebody is signed in, kept for an hour, so that the
// charts are there whichever screen one comes from.

import { access, call } from './api.js';
import { Store } from './store.js';
import { say } from './notice.js';

const INTERVAL_MS = 2000;
const POINTS_MAX = 1800;

/** Series of the charts; a null is a moment at which the server was not heard. */
const SERIES = ['at', 'sessions', 'users', 'opened', 'closed', 'queries', 'p50', 'p99', 'p999'];

class NodeWatch extends Store {
  /** What the server said last; null before it has. */
  node = null;
  health = [];
  /** Why there is nothing to show, when the server refuses to tell. */
  error = null;
  /** By name: one value per point in time. */
  history = Object.fromEntries(SERIES.map(name => [name, []]));
  rates = { opened: null, closed: null, queries: null };
  /** How often another process has been met than the one before. */
  restarts = 0;
  #last = null;
  #isRunning = false;

  async run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (access.state === 'in') {
      await this.#ask();
      await new Promise(resolve => setTimeout(resolve, INTERVAL_MS));
    }
    this.#isRunning = false;
  }

  async #ask() {
    const wasLost = access.lostSince !== null;
    try {
      const { node, health } = await call('node_stats', {}, AbortSignal.timeout(10_000));
      this.error = null;
      this.#hear(node, health, wasLost);
    } catch (error) {
      if (error.name === 'TimeoutError' || error.name === 'AbortError') access.lost();
      if (error.kind === 'refused') this.error = error.message;
      else this.#note({});
    }
    this.changed();
  }

  #hear(node, health, wasLost) {
    const isAnother = this.node && this.node.uid !== node.uid;
    if (isAnother) {
      this.restarts += 1;
      this.#last = null;
      say(`The server was restarted ${longAgo(node.uptime_s)}. This page is connected again.`);
    } else if (wasLost) {
      say('The server answers again.');
    }
    this.node = node;
    this.health = health;
    const now = performance.now();
    const per = name => {
      if (!this.#last) return null;
      return Math.max(0, (node[name] - this.#last.node[name]) / ((now - this.#last.at) / 1000));
    };
    this.rates = {
      opened: per('opened_total'), closed: per('closed_total'), queries: per('queries_total'),
    };
    this.#last = { node, at: now };
    const { p50, p99, p999 } = node.query_us.count > 0 ? node.query_us : {};
    this.#note({ sessions: node.sessions, users: node.users, ...this.rates, p50, p99, p999 });
  }

  #note(values) {
    for (const name of SERIES) {
      const series = this.history[name];
      series.push(name === 'at' ? Date.now() / 1000 : values[name] ?? null);
      if (series.length > POINTS_MAX) series.shift();
    }
  }
}

const longAgo = seconds => (seconds < 5 ? 'just now' : `${Math.round(seconds)} seconds ago`);

export const nodeWatch = new NodeWatch();

// Talks to the server: signs in, calls, reads streams. All addresses are relative to the page's
// folder, so that it works below any prefix.

import { Store } from './store.js';

const folder = new URL('.', location.href.split('#')[0]);
const address = path => new URL(`admin/${path}`, folder).href;

/** A call that was not carried out, with a text for a person. */
export class ApiError extends Error {
  /** `kind`: `lost` (no answer), `signed-out`, or `refused` (the server says why). */
  constructor(kind, message, code) {
    super(message);
    this.kind = kind;
    this.code = code;
  }
}

/** Who is at the page, and whether the server answers. */
class Access extends Store {
  #key = `rollcall.admin.token ${folder.pathname}`;
  /** `unknown` until the server has been asked, then `in` or `out`. */
  state = 'unknown';
  insecure = false;
  serverVersion = '';
  /** Somebody was in before: what they were doing is still there. */
  hasBeenIn = false;
  /** Since when the server does not answer; null when it does. */
  lostSince = null;
  /** Server's clock minus this one's, in milliseconds. */
  #clockAhead = 0;

  constructor() {
    super();
    // Another tab has signed in: that is for this one too.
    addEventListener('storage', ({ key, newValue }) => {
      if (key === this.#key && newValue && this.state === 'out') this.enter();
    });
  }

  get token() { return localStorage.getItem(this.#key); }

  headers() {
    return this.token ? { Authorization: `token ${this.token}` } : {};
  }

  enter(token) {
    if (token) localStorage.setItem(this.#key, token);
    this.state = 'in';
    this.hasBeenIn = true;
    this.changed();
  }

  leave() {
    localStorage.removeItem(this.#key);
    this.state = 'out';
    this.changed();
  }

  lost() {
    if (this.lostSince !== null) return;
    this.lostSince = Date.now();
    this.changed();
  }

  answered() {
    if (this.lostSince === null) return;
    this.lostSince = null;
    this.changed();
  }

  /** The header says whole seconds: the true time is between it and a second later. */
  hearClock(date, askedAt) {
    const told = Date.parse(date ?? '');
    if (Number.isNaN(told)) return;
    const [least, most] = [told - Date.now(), told + 1000 - askedAt];
    this.#clockAhead = Math.min(Math.max(this.#clockAhead, least), most);
  }

  now() { return Date.now() + this.#clockAhead; }
}

export const access = new Access();

/** Milliseconds of the server's clock: what it calls old is measured by it. */
export const serverNow = () => access.now();

async function send(path, options = {}) {
  const askedAt = Date.now();
  let response;
  try {
    response = await fetch(address(path), {
      ...options, headers: { ...options.headers, ...access.headers() }, credentials: 'same-origin',
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    access.lost();
    throw new ApiError('lost', 'The server does not answer.');
  }
  if ([502, 503, 504].includes(response.status)) {
    access.lost();
    throw new ApiError('lost', `The server is not there (status ${response.status}).`);
  }
  access.answered();
  access.hearClock(response.headers.get('Date'), askedAt);
  return response;
}

/** Asks the server whether this browser is signed in. */
export async function begin() {
  const response = await send('init');
  if (!response.ok) throw new ApiError('refused', `The server answers ${response.status} to admin/init.`);
  const { insecure, authenticated, version } = await response.json();
  access.insecure = insecure;
  access.serverVersion = version;
  if (authenticated) access.enter();
  else access.leave();
}

/** Signs in; what is wrong is told by an ApiError, `retryAfter` (seconds) when it was too often. */
export async function signIn(password) {
  const response = await send('auth', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ password }),
  });
  if (response.ok) return access.enter((await response.json()).token);
  if (response.status === 429) {
    const error = new ApiError('refused', 'Too many wrong passwords.');
    error.retryAfter = Number(response.headers.get('Retry-After')) || 1;
    throw error;
  }
  const text = await why(response);
  throw new ApiError('refused', text === 'wrong password' ? 'That password is not right.' : text);
}

/** Nothing of what this person saw is kept for the next one. */
export function signOut() {
  access.hasBeenIn = false;
  access.leave();
}

/** Sends a body to a method; the response, when it is one of a person who is signed in. */
export async function post(method, body, signal) {
  const response = await send(`api/${method}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body, signal,
  });
  if (response.status === 401) {
    access.leave();
    throw new ApiError('signed-out', 'Your sign-in has expired.');
  }
  return response;
}

/** Carries one command out and returns its result. */
export async function call(method, params = {}, signal) {
  const response = await post(method, JSON.stringify(params), signal);
  if (!response.ok) throw new ApiError('refused', await why(response), response.status);
  const { result, error } = await read(response);
  if (error) throw new ApiError('refused', error.message, error.code);
  return result;
}

/** Carries many commands out, a body of some at a time; yields the replies of each, in order. */
export async function* batch(commands) {
  for (let at = 0; at < commands.length; at += BATCH_MAX) {
    const body = JSON.stringify({ commands: commands.slice(at, at + BATCH_MAX) });
    const response = await post('batch', body);
    if (!response.ok) throw new ApiError('refused', await why(response), response.status);
    yield (await read(response)).replies;
  }
}

/** Below what `http_api.max_commands` is likely to be. */
const BATCH_MAX = 100;

async function read(response) {
  try {
    return await response.json();
  } catch {
    access.lost();
    throw new ApiError('lost', 'The answer broke off.');
  }
}

async function why(response) {
  const text = (await response.text()).trim();
  return text || `The server answers ${response.status}.`;
}

/** Milliseconds of silence after which a stream is given up: the server speaks every 15 s. */
const SILENCE_MAX_MS = 40_000;

/** The events of a watch as they come, several at a time. Ends or throws when the stream does. */
export async function* watch(params, signal) {
  const silence = new AbortController();
  const response = await post('watch', JSON.stringify(params), AbortSignal.any([signal, silence.signal]));
  if (!response.ok) throw new ApiError('refused', await why(response), response.status);
  if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
    const { error } = await read(response);
    throw new ApiError('refused', error.message, error.code);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let timer;
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      const events = lines.filter(line => line.startsWith('data:'));
      if (events.length > 0) yield events.map(line => JSON.parse(line.slice(5)));
    }
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError('lost', 'The stream broke off.');
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** The description of every call, read once. */
export function openapi() {
  described ??= fetch(new URL('openapi.json', folder)).then(response => {
    if (!response.ok) throw new ApiError('refused', `openapi.json answers ${response.status}.`);
    return response.json();
  }).catch(error => {
    described = undefined;
    throw error instanceof ApiError ? error : new ApiError('lost', 'The server does not answer.');
  });
  return described;
}

let described;

/** Where a call stands for programs: with the API's own path when the document names one. */
export function publicUrl(document, method) {
  const server = document.servers?.find(({ url }) => url.startsWith('/'));
  if (server) return { url: new URL(`${server.url}/${method}`.replace('//', '/'), folder).href, isPublic: true };
  return { url: address(`api/${method}`), isPublic: false };
}

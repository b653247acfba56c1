// Numbers, times and names as a person reads them.

const whole = new Intl.NumberFormat('en');

export const count = number => whole.format(number);

/** `1 session`, `12,000 sessions`. */
export const many = (number, one, several = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : several}`;

export function bytes(number) {
  if (number < 1000) return `${count(Math.round(number))} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let at = -1;
  for (; number >= 1000 && at < units.length - 1; at += 1) number /= 1000;
  return `${number < 10 ? number.toFixed(2) : number < 100 ? number.toFixed(1) : Math.round(number)} ${units[at]}`;
}

export function micros(us) {
  if (us === null || us === undefined) return '–';
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return '–';
  if (perSecond >= 100 || perSecond === 0) return count(Math.round(perSecond));
  return perSecond.toFixed(1);
}

const STEPS = [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

/** A length of time in its largest unit: `3 min`. */
export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [size, unit] = STEPS.find(([size]) => seconds >= size) ?? STEPS.at(-1);
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** The same in its two largest units: `3 h 12 min`. */
export function longSpan(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const at = Math.max(0, STEPS.findIndex(([size]) => seconds >= size));
  const [size, unit] = seconds === 0 ? STEPS.at(-1) : STEPS[at];
  const head = `${Math.floor(seconds / size)} ${unit}`;
  const next = STEPS[at + 1];
  const rest = next && seconds > 0 ? Math.floor((seconds % size) / next[0]) : 0;
  return rest > 0 ? `${head} ${rest} ${next[1]}` : head;
}

export const ago = (atMs, nowMs) =>
  nowMs - atMs < 5000 ? 'just now' : `${span(nowMs - atMs)} ago`;

const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });
const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

/** A moment to the second. */
export const date = ms => moment.format(ms);

export const clock = ms => time.format(ms);

/** A moment as short as it is clear: the time alone when it was today. */
export function shortDate(ms, nowMs) {
  const isToday = day.format(ms) === day.format(nowMs);
  return isToday ? `today, ${time.format(ms)}` : `${day.format(ms)}, ${time.format(ms).slice(0, 5)}`;
}

export const shortId = id => (id.length > 12 ? `${id.slice(0, 8)}…` : id);

export const userName = user => (user ? user : 'anonymous');

/** Whether clients with an official SDK come back after this code. */
export const comesBack = code => !((code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999));

/** Seconds of `90`, `5m`, `2h`, `1d`; null when it is no length of time. */
export function seconds(text) {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)?\s*$/i.exec(text);
  if (!match) return null;
  const size = { s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 }[(match[2] ?? 's').toLowerCase()];
  return Math.round(Number(match[1]) * size);
}

// Filters as a person sets them, and the selector of the API that they mean.

import { serverNow } from './api.js';
import { seconds } from './format.js';

/** Filters that stand in the address, in the order in which they are shown. */
export const FILTERS = ['user', 'transport', 'protocol', 'app', 'version', 'label', 'older', 'newer', 'expression'];

export const TRANSPORTS = [
  'websocket', 'http_stream', 'sse', 'uni_websocket', 'uni_http_stream', 'uni_sse', 'uni_grpc',
];

export function filtersOf(query) {
  const set = FILTERS.map(name => [name, query.get(name) ?? '']).filter(([, value]) => value !== '');
  return Object.fromEntries(set);
}

/** Whose text is wrong, by the filter's name: `{label: 'why'}`. */
export function mistakes(filters) {
  const wrong = {};
  for (const name of ['older', 'newer']) {
    if (filters[name] && seconds(filters[name]) === null)
      wrong[name] = 'A length of time, such as 90s, 5m, 2h or 1d.';
  }
  if (filters.label && labelTerms(filters.label).some(term => !term))
    wrong.label = 'region=eu, plan!=free, beta or !beta; several with commas between them.';
  return wrong;
}

const quoted = text => JSON.stringify(text);

/** Conditions of `connections`, `disconnect` and `watch`; whoever sets none means everybody. */
export function selectorOf(filters) {
  const selector = {};
  const expressions = [];
  const { user, transport, protocol, app, version, label, older, newer, expression } = filters;
  const exact = user ? exactUser(user) : undefined;
  if (exact !== undefined) selector.users = [exact];
  else if (user) expressions.push(`user.startsWith(${quoted(user.slice(0, -1))})`);
  if (transport) selector.transport = transport;
  if (protocol) expressions.push(`protocol == ${quoted(protocol)}`);
  if (app) selector.app_name = app;
  if (version) selector.app_version = version;
  if (label) selector.label_filter = labelFilter(label);
  if (older) selector.connected_before = Math.round(serverNow() - 1000 * seconds(older));
  if (newer) selector.connected_after = Math.round(serverNow() - 1000 * seconds(newer));
  if (expression) expressions.push(expression);
  if (expressions.length === 1) selector.expression = expressions[0];
  if (expressions.length > 1) selector.expression = expressions.map(part => `(${part})`).join(' && ');
  if (!selector.users) selector.all_users = true;
  return selector;
}

/** Ids are any text: one in quotation marks is what stands in them, `bob*` all that begin so. */
function exactUser(text) {
  if (/^".*"$/s.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text.endsWith('*') ? undefined : text;
}

/** The filter that means this user and nobody else. */
export const filterOfUser = user => (user === '' || /^"|\*$/.test(user) ? quoted(user) : user);

/** The sessions of one user; the empty one is anonymous. */
export const selectorOfUser = user => ({ users: [user] });

export const isEverybody = selector => Object.keys(selector).join() === 'all_users';

const TERM = /^(!?)([^=!^~\s]+)\s*(?:(!=|\^=|~=|=)\s*(.*))?$/;
const COMPARISONS = { '=': 'eq', '!=': 'neq', '^=': 'sw', '~=': 'ct' };

/** Nodes of a label filter; null for what is none. */
function labelTerms(text) {
  return text.split(',').map(part => part.trim()).filter(part => part !== '').map(part => {
    const [, not, key, sign, val] = TERM.exec(part) ?? [];
    if (!key || (not && sign)) return null;
    if (!sign) return { key, cmp: not ? 'nex' : 'ex' };
    return { key, cmp: COMPARISONS[sign], val };
  });
}

function labelFilter(text) {
  const terms = labelTerms(text);
  return terms.length === 1 ? terms[0] : { op: 'and', nodes: terms };
}

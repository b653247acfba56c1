// JSON as a person reads it: on many lines, coloured, numbers as they were sent.

import { html } from './html.js';

const TOKEN = /"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|[^\s{}[\],:"]+|\s+/g;

/** Characters that are coloured; of longer texts the rest stays plain. */
const COLOURED_MAX = 100_000;

/** JSON on many lines. It is not parsed: numbers that JavaScript cannot hold stay as they are. */
export function indented(text) {
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  return text.replace(TOKEN, token => {
    if (token === '{' || token === '[') {
      depth += 1;
      return token + line();
    }
    if (token === '}' || token === ']') {
      depth -= 1;
      return line() + token;
    }
    if (token === ',') return token + line();
    if (token === ':') return ': ';
    return token.trim() === '' ? '' : token;
  });
}

function kindOf(token, isName) {
  if (token.startsWith('"')) return isName ? 'json-name' : 'json-text';
  if (/^[-\d]/.test(token)) return 'json-number';
  return /^[a-z]/.test(token) ? 'json-word' : null;
}

function coloured(text) {
  const tokens = text.match(TOKEN) ?? [];
  const parts = [];
  for (const [at, token] of tokens.entries()) {
    const kind = kindOf(token, tokens[at + 1] === ':');
    if (kind) parts.push(html`<span class=${kind}>${token}</span>`);
    else if (typeof parts.at(-1) === 'string') parts[parts.length - 1] += token;
    else parts.push(token);
  }
  return parts;
}

/** `text` is JSON, or lines of it; `value` is written down. */
export function Json({ text, value, label }) {
  const shown = text ?? JSON.stringify(value, null, 2);
  return html`<pre class="json" tabindex="0" aria-label=${label} role="region">${
    coloured(shown.slice(0, COLOURED_MAX))}${shown.slice(COLOURED_MAX)}</pre>`;
}

// Lists every call of openapi.json with its fields, and sends what a person types. Text goes into
// the page as text only: nothing of the document or of a reply is ever read as HTML.

const names = document.getElementById('names');
const calls = document.getElementById('calls');
const about = document.getElementById('about');
const key = document.getElementById('key');

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function read(api) {
  about.textContent = `${api.info.version}. ${api.info.description}`;
  for (const [path, { post }] of Object.entries(api.paths)) {
    const id = post.operationId;
    const call = element('details', { id, className: 'call' },
      element('summary', {}, element('span', { className: 'path' }, path), ' ', post.summary));
    // Most calls are never looked at: the inside is made when one is.
    call.addEventListener('toggle', () => {
      if (call.open && call.childElementCount === 1) call.append(inside(api, path, post));
    });
    const link = element('a', { href: `#${id}` }, id);
    link.addEventListener('click', () => { call.open = true; });
    names.append(link);
    calls.append(call);
  }
  const asked = document.getElementById(location.hash.slice(1));
  if (asked?.matches('details.call')) {
    asked.open = true;
    asked.scrollIntoView();
  }
}

function inside(api, path, post) {
  const { schema, example } = post.requestBody.content['application/json'];
  const id = `body-${post.operationId}`;
  const body = element('textarea', {
    id, spellcheck: false, value: JSON.stringify(example ?? {}, null, 2),
  });
  const curl = element('pre');
  const send = element('button', { type: 'button' }, 'Send');
  const stop = element('button', { type: 'button', disabled: true }, 'Stop');
  const status = element('p', { role: 'status' });
  const reply = element('pre', { className: 'reply', tabIndex: 0, hidden: true });
  reply.setAttribute('aria-label', 'Reply');
  const url = new URL(api.servers[0].url + path, location.href).href;
  const tellCurl = () => { curl.textContent = curlLine(url, body.value); };
  body.addEventListener('input', tellCurl);
  tellCurl();
  const run = () => { if (!send.disabled) exchange(url, body.value, { send, stop, status, reply }); };
  send.addEventListener('click', run);
  body.addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) run();
  });
  return element('div', {},
    element('p', {}, post.description),
    element('label', { htmlFor: id }, 'Body'), body,
    element('small', {}, 'Control and Enter send it too.'),
    element('div', {}, send, stop), status, reply,
    element('h3', {}, 'The same by curl'), curl,
    ...fields(api, schema));
}

/** The key is a variable of the shell: a line that is passed on does not pass the key on. */
function curlLine(url, body) {
  const quoted = `'${body.replaceAll("'", "'\\''")}'`;
  return `curl '${url}' -H "X-API-Key: $KEY" -d ${quoted}`;
}

/** A list of fields for this message, and one for each message it consists of. */
function fields(api, schema) {
  const seen = [messageOf(schema)];
  const shown = [];
  for (const name of seen) {
    const message = api.components.schemas[name];
    const list = element('dl');
    for (const [field, property] of Object.entries(message.properties ?? {})) {
      for (const inner of messagesIn(property)) if (!seen.includes(inner)) seen.push(inner);
      const needed = message.required?.includes(field) ? ', required' : '';
      list.append(
        element('dt', {}, element('code', {}, field), ' ',
          element('span', { className: 'type' }, typeOf(property) + needed)),
        element('dd', {}, property.description ?? ''));
    }
    const none = list.childElementCount === 0 ? ' It has no fields.' : '';
    shown.push(element('h3', {}, name), element('p', {}, (message.description ?? '') + none), list);
  }
  return shown;
}

const messageOf = schema => schema.$ref.split('/').at(-1);

function messagesIn(schema) {
  if (schema.$ref) return [messageOf(schema)];
  return [schema.items, schema.additionalProperties, ...(schema.oneOf ?? [])]
    .filter(part => typeof part === 'object')
    .flatMap(messagesIn);
}

function typeOf(schema) {
  if (schema.$ref) return messageOf(schema);
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(' or ');
  const kinds = [schema.type ?? 'any JSON'].flat();
  return kinds.map(kind => {
    if (kind === 'array') return `list of ${typeOf(schema.items)}`;
    if (kind === 'object' && schema.additionalProperties)
      return `object of ${typeOf(schema.additionalProperties)}`;
    return kind;
  }).join(' or ');
}

/** Sends a body and shows the reply as it comes: that of `watch` does not end by itself. */
async function exchange(url, body, { send, stop, status, reply }) {
  const abort = new AbortController();
  const end = () => abort.abort();
  send.disabled = true;
  stop.disabled = false;
  stop.addEventListener('click', end);
  reply.hidden = true;
  reply.textContent = '';
  say(status, '', 'Waiting …');
  try {
    const headers = { 'Content-Type': 'application/json' };
    if (key.value) headers['X-API-Key'] = key.value;
    const response = await fetch(url, {
      method: 'POST', headers, body, signal: abort.signal, credentials: 'omit',
    });
    const kind = response.ok ? 'good' : 'wrong';
    say(status, kind, `${response.status} ${response.statusText}${hint(response.status)}`);
    await show(response, reply);
  } catch (error) {
    if (abort.signal.aborted) say(status, '', 'Stopped.');
    else say(status, 'wrong', `No reply: ${error.message}`);
  } finally {
    stop.removeEventListener('click', end);
    send.disabled = false;
    stop.disabled = true;
  }
}

const hint = status => status === 401 ? ': the key is missing or wrong' : '';

function say(status, kind, text) {
  status.className = kind;
  status.textContent = text;
}

/** Characters of a reply that stay on the page, the last ones: more would keep the browser busy. */
const SHOWN_MAX = 1_000_000;

async function show(response, reply) {
  const isJson = response.headers.get('Content-Type')?.startsWith('application/json');
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let isCut = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    isCut ||= text.length > SHOWN_MAX;
    text = text.slice(-SHOWN_MAX);
    if (!isJson) tell();
  }
  if (text !== '') tell();

  function tell() {
    reply.hidden = false;
    reply.textContent = isCut ? `…${text}` : isJson ? indented(text) : text;
  }
}

/** JSON on many lines. It is not parsed: numbers that JavaScript cannot hold stay as they are. */
function indented(text) {
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  return text.replace(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|\s+/g, token => {
    switch (token) {
      case '{': case '[': depth += 1; return token + line();
      case '}': case ']': depth -= 1; return line() + token;
      case ',': return token + line();
      case ':': return ': ';
      default: return token.trim() === '' ? '' : token;
    }
  });
}

try {
  const response = await fetch('openapi.json');
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  read(await response.json());
} catch (error) {
  say(about, 'wrong', `openapi.json cannot be read: ${error.message}`);
}

// Every call of the API: a form, the same as curl, and the reply.

import { html, useEffect, useRef, useState } from './html.js';
import { openapi, post, publicUrl } from './api.js';
import { MessageForm } from './form.js';
import { Json, indented } from './json.js';
import { route } from './route.js';
import { useStore } from './store.js';
import { CopyButton, Dialog, Empty, Failure, Loading, marked } from './ui.js';

/** Characters of a reply that stay on the page, the last ones: a stream does not end by itself. */
const REPLY_MAX = 1_000_000;
/** Calls that change something are asked about first. */
const READING = new Set([
  'channels', 'connections', 'get_user_block', 'get_user_status', 'info', 'node_stats', 'user_connections', 'watch',
]);

export function Console() {
  useStore(route);
  const [document, setDocument] = useState(null);
  const [error, setError] = useState(null);
  const load = () => {
    setError(null);
    openapi().then(setDocument, error => setError(error.message));
  };
  useEffect(load, []);
  if (error) return html`<${Failure} text=${error} onRetry=${load} />`;
  if (!document) return html`<${Loading}>Reading the description of the API …<//>`;

  const calls = Object.entries(document.paths).map(([path, { post }]) => ({ method: path.slice(1), ...post }));
  const chosen = calls.find(({ method }) => method === route.id);
  return html`
    <section class="screen console" aria-labelledby="console-title">
      <nav class="calls" aria-label="Calls"><h1 id="console-title">API console</h1>
        <label class="field calls-narrow"><span class="hidden">Call</span>
          <select value=${route.id}
            onChange=${({ target }) => { location.hash = `#/console/${target.value}`; }}>
            <option value="">Choose a call</option>
            ${calls.map(({ method }) => html`<option key=${method}
              value=${method}>${method}</option>`)}</select></label>
        <ul>${calls.map(({ method }) => html`<li key=${method}><a href=${`#/console/${method}`}
          aria-current=${method === route.id ? 'page' : undefined}>${method}</a></li>`)}</ul></nav>
      ${chosen ? html`<${Call} key=${chosen.method} call=${chosen} document=${document} />`
      : html`<${Empty} title=${route.id ? `There is no call “${route.id}”` : 'Pick a call'}>
          Each has a form, the line for curl, and its reply.<//>`}
    </section>`;
}

function Call({ call, document }) {
  const { schema, example = {} } = call.requestBody.content['application/json'];
  const [body, setBody] = useState(example);
  const [written, setWritten] = useState(null);
  const [reply, setReply] = useState(null);
  const [isAsking, setAsking] = useState(false);
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);

  const isWritten = written !== null;
  const mistake = isWritten ? mistakeIn(written) : null;
  const text = isWritten ? written : JSON.stringify(body, null, 2);
  const toForm = () => {
    setBody(JSON.parse(written));
    setWritten(null);
  };
  const send = async () => {
    setAsking(false);
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setReply({ status: 'Waiting …', text: '', isRunning: true });
    await exchange(call.method, isWritten ? written : JSON.stringify(body), abort.signal, setReply);
  };
  const submit = event => {
    event.preventDefault();
    if (mistake || reply?.isRunning) return;
    if (READING.has(call.method)) send();
    else setAsking(true);
  };
  const onKey = event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event);
  };
  const target = publicUrl(document, call.method);
  return html`
    <div class="call">
      <header><h2><code>${call.method}</code></h2><p>${marked(call.description ?? call.summary)}</p></header>
      <form onSubmit=${submit} onKeyDown=${onKey}>
        <div class="tabs" role="group" aria-label="How to write the request">
          <button type="button" aria-pressed=${!isWritten} disabled=${mistake !== null}
            onClick=${() => isWritten && toForm()}>Form</button>
          <button type="button" aria-pressed=${isWritten}
            onClick=${() => !isWritten && setWritten(text)}>JSON</button>
        </div>
        ${isWritten ? html`<label class="field">Request
            <textarea class="mono" rows="12" spellcheck=${false} value=${written}
              onInput=${({ target }) => setWritten(target.value)}
              aria-invalid=${mistake !== null} aria-describedby="request-note"></textarea>
            <small id="request-note" class="wrong">${mistake}</small></label>`
          : html`<div class="form-fields"><${MessageForm} document=${document} schema=${schema} value=${body}
            onChange=${setBody} /></div>`}
        <div class="buttons send">
          <button type="submit" class="primary" disabled=${mistake !== null || reply?.isRunning}>Send</button>
          ${reply?.isRunning && html`<button type="button"
            onClick=${() => running.current.abort()}>Stop</button>`}
          <small>Control and Enter send it too.</small></div>
      </form>
      <${Shown} title="The same by curl"
        text=${curlLine(target, isWritten ? compact(written) : JSON.stringify(body))} />
      ${reply && html`
        <div class="reply">
          <header><h3>Reply</h3><span role="status"
            class=${reply.isWrong ? 'wrong' : 'good'}>${reply.status}</span>
            ${reply.text && html`<${CopyButton} text=${reply.text} label="Copy the reply" />`}</header>
          ${reply.text && html`<${Json} text=${reply.text} label="Reply" />`}
        </div>`}
      ${isAsking && html`
        <${Dialog} title=${`Send ${call.method}?`} onClose=${() => setAsking(false)}>
          <p>This call can change things on the server. It will be sent as it is written here:</p>
          <${Json} text=${text} label="Request" />
          <div class="buttons"><button type="button" onClick=${() => setAsking(false)}>Cancel</button>
            <button type="button" class="danger" onClick=${send}>Send it</button></div>
        <//>`}
    </div>`;
}

const Shown = ({ title, text }) => html`
  <div class="shown"><header><h3>${title}</h3><${CopyButton} text=${text}
    label="Copy the line for curl" /></header>
    <pre tabindex="0" role="region" aria-label=${title}>${text}</pre></div>`;

/** The key is a variable of the shell: a line that is passed on does not pass the key on. */
function curlLine({ url, isPublic }, body) {
  const header = isPublic ? 'X-API-Key: $KEY' : 'Authorization: token $TOKEN';
  return `curl '${url}' -H "${header}" -d '${body.replaceAll("'", "'\\''")}'`;
}

function mistakeIn(text) {
  try {
    const value = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? null : 'The request is a JSON object.';
  } catch (error) {
    return `This is not JSON: ${error.message}`;
  }
}

function compact(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

/** Sends a body and shows the reply as it comes: that of `watch` does not end by itself. */
async function exchange(method, body, signal, show) {
  let text = '';
  let status = '';
  let isWrong = false;
  const tell = isRunning => show({ status, text, isWrong, isRunning });
  try {
    const response = await post(method, body, signal);
    const isStream = response.headers.get('Content-Type')?.startsWith('text/event-stream');
    status = isStream ? 'Listening …' : `${response.status} ${response.statusText}`;
    isWrong = !response.ok;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      text = (text + value).slice(-REPLY_MAX);
      if (isStream) tell(true);
    }
    if (isStream) status = 'The stream has ended.';
    else if (text.startsWith('{')) text = indented(text);
    isWrong ||= /^\{\s*"error":/.test(text);
  } catch (error) {
    status = signal.aborted ? 'Stopped.' : error.message;
    isWrong = !signal.aborted;
  }
  tell(false);
}

// The small parts that all screens are made of.

import { html, useEffect, useLayoutEffect, useRef, useState } from './html.js';
import { Icon } from './icons.js';
import { complain, notices, say } from './notice.js';
import { useStore } from './store.js';

export const IconButton = ({ icon, label, ...rest }) => html`
  <button type="button" class="icon-button" aria-label=${label} title=${label} ...${rest}><${Icon}
    name=${icon} /></button>`;

export function CopyButton({ text, label = 'Copy' }) {
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [isDone]);
  const copy = async event => {
    event.stopPropagation();
    try {
      await copyText(typeof text === 'function' ? text() : text);
      setDone(true);
      say('Copied.');
    } catch {
      complain('This browser did not let the page copy.');
    }
  };
  return html`<${IconButton} icon=${isDone ? 'check' : 'copy'} label=${label} onClick=${copy} />`;
}

/** Browsers have a clipboard for pages on HTTPS and on localhost only. */
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  const isDone = document.execCommand('copy');
  area.remove();
  if (!isDone) throw new Error('not copied');
}

let dialogs = 0;

/** A modal dialog that gives the focus back. `onClose` is asked by Escape and by its cross. */
export function Dialog({ title, onClose, children, kind = '' }) {
  const ref = useRef();
  const [id] = useState(() => `dialog-${++dialogs}`);
  useLayoutEffect(() => {
    const before = document.activeElement;
    const dialog = ref.current;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const cancel = event => {
    event.preventDefault();
    onClose();
  };
  return html`
    <dialog ref=${ref} class=${`dialog ${kind}`} aria-labelledby=${id} onCancel=${cancel}>
      <header><h2 id=${id}>${title}</h2><${IconButton} icon="close" label="Close this dialog"
        onClick=${onClose} /></header>
      ${children}
    </dialog>`;
}

/** Whether an action runs, and what went wrong with it last. */
export function useAction(action) {
  const [state, setState] = useState({ isRunning: false, error: null });
  const run = async (...given) => {
    setState({ isRunning: true, error: null });
    try {
      await action(...given);
      setState({ isRunning: false, error: null });
    } catch (error) {
      setState({ isRunning: false, error: error.message });
    }
  };
  return { ...state, run };
}

/** The time, drawn anew every so often. */
export function useNow(now, everyMs = 10_000) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick(value => value + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now();
}

export const Empty = ({ title, children }) => html`
  <div class="empty"><p class="empty-title">${title}</p>${children && html`<p>${children}</p>`}</div>`;

export const Failure = ({ text, onRetry }) => html`
  <div class="empty" role="alert"><p class="empty-title">This could not be loaded</p><p>${text}</p>
    ${onRetry && html`<p><button type="button" onClick=${onRetry}>Try again</button></p>`}</div>`;

export const Loading = ({ children = 'Loading …' }) => html`<p class="loading" role="status">${children}</p>`;

/** Text of the documents, where code stands between backticks. */
export const marked = (text = '') =>
  text.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part));

export const Chips = ({ labels, onPick }) => html`
  <span class="chips">${Object.entries(labels ?? {}).map(([key, value]) => {
    const text = `${key}=${value}`;
    return onPick
      ? html`<button type="button" key=${key} class="chip" title=${`Filter by ${text}`}
        onClick=${() => onPick(text)}>${text}</button>`
      : html`<span key=${key} class="chip" title=${text}>${text}</span>`;
  })}</span>`;

export function Notices() {
  useStore(notices);
  return html`<div class="notices" aria-live="polite">${notices.shown.map(({ id, text, kind }) => html`
    <div key=${id} class=${`notice ${kind}`}><span>${text}</span>
      <${IconButton} icon="close" label="Dismiss" onClick=${() => notices.remove(id)} /></div>`)}</div>`;
}

// What narrows the list of sessions: one row of fields, the rarer ones folded away.

import { html, useEffect, useState } from './html.js';
import { count } from './format.js';
import { Icon } from './icons.js';
import { FILTERS, TRANSPORTS, mistakes } from './selector.js';


/** Folded away everywhere; on a phone all but the user are. */
const RARE = ['version', 'older', 'newer', 'expression'];
const TYPING_MS = 350;

/** `filters` are those that hold; `onChange(filters)` with those that are wanted. */
export function Filters({ filters, onChange, state, onState }) {
  const [draft, setDraft] = useState(filters);
  const [isOpen, setOpen] = useState(() => RARE.some(name => filters[name]));
  const held = JSON.stringify(filters);
  useEffect(() => { setDraft(filters); }, [held]);

  const wrong = mistakes(draft);
  const isWrong = Object.keys(wrong).length > 0;
  const wanted = JSON.stringify(pruned(draft));
  useEffect(() => {
    if (isWrong || wanted === held) return;
    const timer = setTimeout(() => onChange(JSON.parse(wanted)), TYPING_MS);
    return () => clearTimeout(timer);
  }, [wanted, held, isWrong]);

  const set = (name, value) => setDraft(draft => ({ ...draft, [name]: value }));
  const submit = event => {
    event.preventDefault();
    if (!isWrong) onChange(pruned(draft));
  };
  const text = (name, label, placeholder, rest = {}) => html`
    <label class=${`field filter-${name}`}>${label}
      <input value=${draft[name] ?? ''} placeholder=${placeholder} autocomplete="off" autocapitalize="off"
        spellcheck=${false}
        onInput=${event => set(name, event.target.value)} aria-invalid=${Boolean(wrong[name])}
        aria-describedby=${wrong[name] ? `wrong-${name}` : undefined} ...${rest} />
      ${wrong[name] && html`<small class="wrong" id=${`wrong-${name}`}>${wrong[name]}</small>`}</label>`;
  const choice = (name, label, values) => html`
    <label class=${`field filter-${name}`}>${label}
      <select value=${draft[name] ?? ''} onChange=${event => set(name, event.target.value)}>
        <option value="">any</option>
        ${[...new Set([...values, draft[name]].filter(Boolean))].map(value => html`<option key=${value}
          value=${value}>${value}</option>`)}
      </select></label>`;

  const rare = RARE.filter(name => draft[name]).length;
  return html`
    <form class=${`filters ${isOpen ? 'open' : ''}`} role="search" aria-label="Filter sessions"
      onSubmit=${submit}>
      ${text('user', 'User', 'id, or start*', { type: 'search', id: 'filter-user' })}
      ${choice('transport', 'Transport', TRANSPORTS)}
      ${choice('protocol', 'Protocol', ['json', 'protobuf'])}
      ${text('app', 'App', 'ios')}
      ${text('label', 'Labels', 'region=eu, plan!=free')}
      <label class="field filter-state">Show
        <select value=${state} onChange=${event => onState(event.target.value)}>
          <option value="open">connected now</option><option value="closed">recently closed</option>
        </select></label>
      <div class="filter-buttons">
        <button type="button" class="quiet" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
          <span class="more-word">More</span><span
            class="filters-word">Filters</span>${rare > 0 ? ` (${count(rare)})` : ''} <${Icon}
              name="more" /></button>
        ${FILTERS.some(name => draft[name]) && html`
          <button type="button" class="quiet" onClick=${() => onChange({})}>Clear</button>`}
      </div>
      ${isOpen && html`
        <div class="rare">
          ${text('version', 'App version', '1.2.3')}
          ${text('older', 'Older than', '2h')}
          ${text('newer', 'Newer than', '5m')}
          ${text('expression', 'CEL expression', "has(meta.plan) && meta.plan == 'gold'", { class: 'mono' })}
        </div>`}
      <button type="submit" class="hidden" tabindex="-1" aria-hidden="true">Apply</button>
    </form>`;
}

const pruned = draft => Object.fromEntries(FILTERS.filter(name => draft[name]).map(name => [name, draft[name]]));

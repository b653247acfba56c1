// A form made from a schema of the OpenAPI document: one control for each field, each with what the
// document says of it.

import { html, useEffect, useState } from './html.js';
import { marked } from './ui.js';

const named = (document, schema) =>
  (schema.$ref ? document.components.schemas[schema.$ref.split('/').at(-1)] : schema);

/** The schema of what may stand in a field, `null` aside. */
function valueOf(document, schema) {
  const real = schema.oneOf ? schema.oneOf.find(({ type }) => type !== 'null') : schema;
  const resolved = named(document, real);
  const type = [resolved.type].flat().find(type => type !== 'null');
  return { ...resolved, type };
}

/** `text`, `number`, `boolean`, `texts`, `message`, or `json` for what has no form of its own. */
function controlOf(value, depth) {
  if (value.type === 'string') return 'text';
  if (value.type === 'integer' || value.type === 'number') return 'number';
  if (value.type === 'boolean') return 'boolean';
  if (value.type === 'array' && value.items?.type === 'string') return 'texts';
  // A message inside a message inside a message is easier written than clicked.
  if (value.type === 'object' && value.properties && depth === 0 && !value.properties.nodes) return 'message';
  return 'json';
}

/** Who is meant comes before what else can be said. */
const FIRST = ['user', 'users', 'client', 'session', 'all_users', 'disconnect', 'dry_run'];

/** `value`: the object so far; `onChange(object)` without what is empty. */
export function MessageForm({ document, schema, value, onChange, depth = 0, path = '' }) {
  const { properties = {}, required = [] } = named(document, schema);
  const set = (name, next) => {
    const changed = { ...value };
    if (next === undefined) delete changed[name];
    else changed[name] = next;
    onChange(changed);
  };
  const rank = name => (required.includes(name) ? -1 : FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const entries = Object.entries(properties).sort(([a], [b]) => rank(a) - rank(b));
  if (entries.length === 0) return html`<p class="note">This call takes no fields.</p>`;
  return entries.map(([name, property]) => {
    const inner = valueOf(document, property);
    const id = `field-${path}${name}`;
    const shared = {
      id, name, note: property.description, isRequired: required.includes(name),
      value: value?.[name], onChange: next => set(name, next),
    };
    const control = controlOf(inner, depth);
    if (control === 'message') {
      return html`<fieldset key=${name} class="message"><legend><code>${name}</code></legend><p
        class="note">${marked(property.description)}</p>
        <${MessageForm} document=${document} schema=${inner} value=${value?.[name] ?? {}} depth=${depth + 1}
          path=${`${name}-`}
          onChange=${next => set(name, Object.keys(next).length > 0 ? next : undefined)} /></fieldset>`;
    }
    const Control = { text: Text, number: Whole, boolean: Choice, texts: Texts, json: Free }[control];
    return html`<${Control} key=${name} ...${shared} />`;
  });
}

const Labelled = ({ id, name, note, isRequired, kind, mistake, children }) => html`
  <div class="form-field"><label for=${id}><code>${name}</code><span
    class="kind">${kind}${isRequired ? ', required' : ''}</span></label>
    ${children}
    <small id=${`${id}-note`} class=${mistake ? 'wrong' : ''}>${mistake ?? marked(note)}</small></div>`;

const common = ({ id }) => ({ id, 'aria-describedby': `${id}-note`, autocomplete: 'off', spellcheck: false });

function Text(props) {
  const type = ({ target }) => props.onChange(target.value === '' && !props.isRequired ? undefined : target.value);
  return html`<${Labelled} ...${props} kind="text">
    <input ...${common(props)} value=${props.value ?? ''} onInput=${type} /><//>`;
}

const Choice = props => html`<${Labelled} ...${props} kind="yes or no">
  <select ...${common(props)} value=${props.value === undefined ? '' : String(props.value)}
    onChange=${({ target }) => props.onChange(target.value === '' ? undefined : target.value === 'true')}>
    <option value=""></option><option value="true">yes</option><option value="false">no</option></select><//>`;

/** A control whose text is not always a value: what is typed stays, the mistake is told beside it. */
function Written({ read, write, kind, lines, ...props }) {
  const [text, setText] = useState(() => write(props.value));
  const [mistake, setMistake] = useState(null);
  const held = JSON.stringify(props.value);
  useEffect(() => {
    // What came from elsewhere (an example, the JSON view) is shown; what was typed here stays.
    if (mistake === null && JSON.stringify(safely(read, text).value) !== held) setText(write(props.value));
  }, [held]);
  const type = ({ target }) => {
    const { value, error } = safely(read, target.value);
    setText(target.value);
    setMistake(error);
    if (error === null) props.onChange(value);
  };
  const control = { ...common(props), value: text, onInput: type, 'aria-invalid': mistake !== null };
  return html`<${Labelled} ...${props} kind=${kind} mistake=${mistake}>
    ${lines ? html`<textarea rows=${lines} class="mono" ...${control}></textarea>` : html`<input
      inputmode="numeric" ...${control} />`}<//>`;
}

function safely(read, text) {
  if (text.trim() === '') return { value: undefined, error: null };
  try {
    return { value: read(text), error: null };
  } catch (error) {
    return { value: undefined, error: error.message };
  }
}

const Whole = props => html`<${Written} ...${props} kind="number" write=${value => String(value ?? '')}
  read=${text => {
    if (!/^\s*-?\d+\s*$/.test(text)) throw new Error('A whole number.');
    return Number(text);
  }} />`;

const Texts = props => html`<${Written} ...${props} kind="texts, one on each line" lines="2"
  write=${value => value?.join('\n') ?? ''}
  read=${text => text.split('\n').map(line => line.trim()).filter(Boolean)} />`;

const Free = props => html`<${Written} ...${props} kind="JSON" lines="3"
  write=${value => (value === undefined ? '' : JSON.stringify(value, null, 2))} read=${JSON.parse} />`;

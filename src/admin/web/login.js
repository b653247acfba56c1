// Signing in. A dialog above everything, so that whoever has to sign in again finds their work as it was.

import { html, useEffect, useLayoutEffect, useRef, useState } from './html.js';
import { access, signIn } from './api.js';
import { Mark } from './mark.js';

export function Login() {
  const dialog = useRef();
  const field = useRef();
  const [password, setPassword] = useState('');
  const [error, setError] = useState(null);
  const [isRunning, setRunning] = useState(false);
  const [waitS, setWaitS] = useState(0);

  useLayoutEffect(() => {
    dialog.current.showModal();
    field.current.focus();
  }, []);
  useEffect(() => {
    if (waitS <= 0) return;
    const timer = setTimeout(() => setWaitS(waitS - 1), 1000);
    return () => clearTimeout(timer);
  }, [waitS]);

  const submit = async event => {
    event.preventDefault();
    if (isRunning || waitS > 0) return;
    setRunning(true);
    setError(null);
    try {
      await signIn(password);
    } catch (error) {
      setError(error.message);
      if (error.retryAfter) setWaitS(error.retryAfter);
      setRunning(false);
      field.current?.select();
    }
  };
  // Nothing is behind it for those who are not signed in.
  const stay = event => event.preventDefault();
  const reopen = () => { if (dialog.current && access.state === 'out') dialog.current.showModal(); };
  return html`
    <dialog ref=${dialog} class="login" aria-labelledby="login-title" onCancel=${stay} onClose=${reopen}>
      <form onSubmit=${submit}>
        <${Mark} />
        <h1 id="login-title">${access.hasBeenIn ? 'Sign in again' : 'Sign in to Rollcall'}</h1>
        <p class="note">${access.hasBeenIn
          ? 'Your sign-in has ended. Everything is as you left it.'
          : 'The password is admin.password of the server.'}</p>
        <input type="text" name="username" value="admin" autocomplete="username" hidden readonly />
        <label class="field">Password
          <input ref=${field} type="password" autocomplete="current-password" required value=${password}
            onInput=${({ target }) => setPassword(target.value)} aria-describedby="login-error" /></label>
        <p id="login-error" class="wrong"
          role="alert">${error}${waitS > 0 ? ` Try again in ${waitS} s.` : ''}</p>
        <button type="submit" class="primary"
          disabled=${isRunning || waitS > 0}>${isRunning ? 'Signing in …' : 'Sign in'}</button>
      </form>
    </dialog>`;
}

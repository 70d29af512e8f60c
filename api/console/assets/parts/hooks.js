// What several pages share: the connection, loading with errors, polling, what a tab keeps, the route in the address.
import { useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { connection, onConnection } from "../api.js";
import { readable } from "../words.js";

const STORE_AFTER = 300;

/** Renders again when the token or the connection changes. */
export function useConnection() {
  const [, render] = useState(0);
  useEffect(() => onConnection(() => render((n) => n + 1)), []);
  return connection;
}

/** `{ data, error, reload }` of an async function. Older answers never replace newer ones; an error keeps the data. */
export function useLoad(load, inputs = []) {
  const [state, setState] = useState({ data: undefined, error: null });
  const latest = useRef(0);
  const { offline } = useConnection();
  const reload = useCallback(async () => {
    const mine = ++latest.current;
    try {
      const data = await load();
      if (mine === latest.current) setState({ data, error: null });
      return data;
    } catch (error) {
      if (mine === latest.current) setState((old) => ({ ...old, error }));
      return undefined;
    }
  }, inputs);
  useEffect(() => {
    if (!offline) reload();
  }, [reload, offline]);
  useEffect(() => () => void latest.current++, [reload]);
  return { ...state, reload };
}

/** Calls `task` every `interval` milliseconds while the page is visible and the server answers. */
export function usePolling(task, interval) {
  const current = useRef(task);
  current.current = task;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && !connection.offline) current.current();
    }, interval);
    return () => clearInterval(timer);
  }, [interval]);
}

/** A state that survives a reload of this tab. */
export function useTabState(key, initial) {
  const name = `switchboard.${key}`;
  const [value, setValue] = useState(() => {
    const stored = sessionStorage.getItem(name);
    return stored === null ? initial : JSON.parse(stored);
  });
  const latest = useRef(value);
  latest.current = value;
  const store = useCallback(() => {
    if (!connection.token && !connection.refused) return; // signed out
    try {
      sessionStorage.setItem(name, JSON.stringify(latest.current));
    } catch {
      sessionStorage.removeItem(name); // larger than the browser allows: only a reload loses it
    }
  }, [name]);
  // A streamed answer changes often, and a long conversation takes long to write.
  useEffect(() => {
    const timer = setTimeout(store, STORE_AFTER);
    return () => clearTimeout(timer);
  }, [value]);
  useEffect(() => {
    addEventListener("pagehide", store);
    return () => (removeEventListener("pagehide", store), store());
  }, [store]);
  return [value, setValue];
}

/** The route: `#/sessions/ada/s-1` is `["sessions", "ada", "s-1"]`. */
export function useRoute() {
  const read = () => location.hash.replace(/^#\/?/, "").split("/").map(readable);
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const update = () => setRoute(read());
    addEventListener("hashchange", update);
    return () => removeEventListener("hashchange", update);
  }, []);
  return route;
}

export const link = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

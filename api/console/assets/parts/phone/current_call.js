// The call of this tab. It goes on while other pages are shown; a reload ends it.
import { useEffect, useState } from "../../vendor/preact.js";
import { Call } from "./call.js";

const listeners = new Set();
let call = null;

const changed = () => {
  for (const each of listeners) each();
};

/** `begun` has `from`, `to` and `model`. */
export function beginCall(begun) {
  call = new Call({ ...begun, onChange: changed });
  changed();
}

/** The newest call, or null, and how often it has changed. */
export function useCall() {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const listener = () => setChanges((n) => n + 1);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return { call, changes, runs: call !== null && call.state !== "ended" };
}

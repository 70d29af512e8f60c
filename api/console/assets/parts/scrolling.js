// Keeps the newest message in sight, unless the reader has scrolled up.
import { useLayoutEffect, useRef } from "../vendor/preact.js";

const NEAR = 80;

export function useStickToBottom(changes) {
  const element = useRef(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const box = element.current;
    const note = () => (atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR);
    box.addEventListener("scroll", note, { passive: true });
    return () => box.removeEventListener("scroll", note);
  }, []);
  useLayoutEffect(() => {
    if (atEnd.current) element.current.scrollTop = element.current.scrollHeight;
  }, [changes]);
  return element;
}

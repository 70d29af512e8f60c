// The frame of the console: sign-in, navigation, and one page for each part of the address.
import { html, render, useEffect, useState } from "./vendor/preact.js";
import { connection, signIn, signOut } from "./api.js";
import { link, useConnection, useRoute } from "./parts/hooks.js";
import { Icon } from "./parts/icons.js";
import { Notices } from "./parts/notices.js";
import { chooseLanguage, language, t } from "./words.js";
import { pages } from "./pages/index.js";

function App() {
  const { token, offline } = useConnection();
  return html`
    ${offline && html`<div class="banner" role="status">${t("The server does not answer. The page reconnects by itself; nothing that you typed is lost.")}</div>`}
    ${token ? html`<${Frame} />` : html`<${SignIn} />`}
    <${Notices} />`;
}

function Frame() {
  const [page = "chat", ...rest] = useRoute();
  const shown = pages.find((each) => each.name === page) ?? pages[0];
  const [open, setOpen] = useState(false);
  const choose = () => {
    setOpen(false);
    document.getElementById("content").focus(); // also where the menu, which has the focus, disappears
  };
  useEffect(() => {
    document.title = `${t(shown.title)} · Switchboard`;
  }, [shown.name]);
  return html`<div class=${`frame ${open ? "nav-open" : ""}`}>
    <a class="skip" href="#content" onClick=${focusContent}>${t("Skip to the content")}</a>
    <header class="top">
      <button class="quiet only-narrow" aria-expanded=${open} aria-controls="nav" onClick=${() => setOpen(!open)}>
        <${Icon} name=${open ? "close" : "menu"} /><span class="sr">${t("Menu")}</span>
      </button>
      <span class="brand"><img src="console/icon.svg" alt="" width="24" height="24" />Switchboard</span>
      <span class="spring"></span>
      <div class="wide-only"><${Preferences} /></div>
    </header>
    <nav id="nav" aria-label=${t("Pages")}>
      ${pages.map(
        (each) => html`<a key=${each.name} href=${link(each.name)} onClick=${choose} aria-current=${each === shown ? "page" : undefined}>
          <${Icon} name=${each.name} />${t(each.title)}</a>`,
      )}
      <div class="only-narrow"><${Preferences} /></div>
    </nav>
    <main id="content" tabindex="-1"><${shown.Page} key=${shown.name} route=${rest} /></main>
  </div>`;
}

function focusContent(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

function Preferences() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  const chooseTheme = (chosen) => {
    localStorage.setItem("switchboard.theme", chosen);
    document.documentElement.dataset.theme = chosen;
    setTheme(chosen);
  };
  return html`<div class="preferences">
    <label><span class="sr">${t("Language")}</span>
      <select value=${language} onChange=${(event) => chooseLanguage(event.target.value)}>
        <option value="en">English</option><option value="zh">中文</option>
      </select></label>
    <label><span class="sr">${t("Theme")}</span>
      <select value=${theme} onChange=${(event) => chooseTheme(event.target.value)}>
        <option value="auto">${t("Auto")}</option><option value="light">${t("Light")}</option><option value="dark">${t("Dark")}</option>
      </select></label>
    <button class="quiet" onClick=${() => signOut()}><${Icon} name="out" />${t("Sign out")}</button>
  </div>`;
}

function SignIn() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState(connection.refused ? t("The server no longer accepts the token. Sign in again.") : "");
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await signIn(token.trim());
    } catch (error) {
      setProblem(error.status === 401 ? t("The server does not accept this token.") : error.message);
    } finally {
      setBusy(false);
    }
  };
  return html`<main class="sign-in">
    <form class="card" onSubmit=${submit}>
      <h1><img src="console/icon.svg" alt="" width="36" height="36" />Switchboard</h1>
      <label for="token">${t("Token")}</label>
      <input id="token" type="password" autocomplete="off" autofocus required value=${token}
        aria-describedby="token-help" aria-invalid=${problem ? "true" : undefined} onInput=${(event) => setToken(event.target.value)} />
      <p id="token-help" class="muted">${t("One of SWITCHBOARD_API_TOKENS. On a first run, the file .env has it. This tab keeps it until you close it.")}</p>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <button class="primary" disabled=${busy || !token.trim()}>${busy ? t("Checking...") : t("Sign in")}</button>
    </form>
  </main>`;
}

render(html`<${App} />`, document.getElementById("app"));

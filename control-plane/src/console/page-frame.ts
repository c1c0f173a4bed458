import type { Session } from "../core/admin-records.ts";
import { Html, html } from "./html.ts";
import { STYLE } from "./style.ts";

const styleElement = new Html(`<style>${STYLE}</style>`);

/** Where the pages stand, as the navigation names them. */
const PLACES = [
  { path: "/", name: "Status" },
  { path: "/devices", name: "Devices" },
  { path: "/sources", name: "Sources" },
] as const;

/** A whole page for somebody who is signed in; `place` is the navigation's entry that it belongs to. */
export function signedInPage(
  of: { readonly title: string; readonly place: string; readonly session: Session },
  content: Html,
): Html {
  const links = PLACES.map(({ path, name }) => {
    const current = path === of.place ? html` aria-current="true"` : undefined;
    return html`<a href="${path}"${current}>${name}</a>`;
  });
  return page(
    of.title,
    html`<a class="skip" href="#content">Skip to the content</a>
    <header>
      <h1>Isthmus control plane</h1>
      <nav aria-label="Pages">${links}</nav>
      <form method="post" action="/sign-out">
        ${of.session.userName}, ${of.session.roles.join(", ")} <button>Sign out</button>
      </form>
    </header>
    <main id="content" tabindex="-1">${content}</main>`,
  );
}

/** What the API refuses, in its own words, with a way back to the list that the page at this path belongs to. */
export function refusalPage(message: string, session: Session, path: string): Html {
  const back = path.startsWith("/sources") ? PLACES[2] : PLACES[1];
  return signedInPage(
    { title: "Refused", place: back.path, session },
    html`<p class="bad" role="alert">${message}</p><p><a href="${back.path}">${back.name}</a></p>`,
  );
}

/** What went wrong before anybody looked who asks. */
export function problemPage(title: string, words: string): Html {
  return page(
    title,
    html`<main><h1>Isthmus control plane</h1>
      <p class="bad" role="alert">${words}</p><p><a href="/devices">Devices</a></p></main>`,
  );
}

/** The form to sign in, with what went wrong before, and the page that is shown afterwards. */
export function signInPage(problem: string | undefined, next = "/"): Html {
  const alert = problem && html`<p class="bad" role="alert">${problem}</p>`;
  return page(
    "Sign in",
    html`<main>
      <form class="sign-in" method="post" action="/sign-in">
        <h1>Isthmus control plane</h1>
        ${alert}
        <input type="hidden" name="next" value="${next}">
        <label>User name <input name="userName" autocomplete="username" required autofocus></label>
        <label>Password
          <input name="password" type="password" autocomplete="current-password" required></label>
        <button>Sign in</button>
      </form>
    </main>`,
  );
}

function page(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} - Isthmus</title>
${styleElement}
</head>
<body>${body}</body>
</html>
`;
}

import { FIELD_NAME, LOGIN_HANDLE } from "./login-message.ts";
import { escapeXml } from "./xml-element.ts";

/** One question of a form. */
export interface LoginField {
  readonly name: string;
  readonly label: string;
  readonly kind: "text" | "password" | "hidden";
  readonly value?: string | undefined;
}

export interface LoginForm {
  /** Comes back with the answers; see `LOGIN_HANDLE`. */
  readonly opaque: string;
  readonly message: string;
  readonly error?: string | undefined;
  readonly fields: readonly LoginField[];
  readonly groups: readonly { readonly name: string; readonly label: string }[];
  /** Name of the group that the form is for. */
  readonly group: string;
  readonly browse?: BrowserLogin | undefined;
}

/** A login that goes on in a browser (`single-sign-on-v2`). */
export interface BrowserLogin {
  readonly loginUrl: string;
  readonly finalUrl: string;
  readonly tokenCookie: string;
  readonly errorCookie: string;
  /** In the system's browser, which brings the token back to a listener of the client's; else in the client's own. */
  readonly isExternal: boolean;
}

/** In what form a client reads XML. */
export type XmlForm = "config-auth" | "auth-alone";

// As ocserv has it: clients want some version here, and it need not be ours.
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const VERSION = '<version who="sg">0.1(1)</version>';
const TITLE = "<title>VPN</title>";
/** Where clients send the answers. */
const ACTION = "/auth";
const SSO_FIELD = "sso-token";

const STANDARD = new Set(["username", "password", "secondary_username", "secondary_password"]);
const BY_KIND = {
  text: ["username", "secondary_username"],
  password: ["password", "secondary_password"],
  hidden: [],
} as const;

/** The page that asks. */
export function encodeLoginForm(form: LoginForm, as: XmlForm = "config-auth"): string {
  const names = wireNames(form.fields);
  const asked = form.fields.map((field, index) => inputOf(field, names[index] ?? field.name));
  const inputs = form.browse ? [...asked, `<input type="sso" name="${SSO_FIELD}"/>`] : asked;
  const parts = [
    TITLE,
    `<message>${escapeXml(form.message)}</message>`,
    "<banner></banner>",
    form.error === undefined ? "" : errorOf(form.error),
    form.browse ? browserLogin(form.browse) : "",
    `<form method="post" action="${ACTION}">`,
    inputs.join(""),
    groupList(form),
    "</form>",
  ];
  // Some changed clients of openconnect's second version want another id where a password alone is asked for.
  const isPassword = as === "auth-alone" && !names.includes("username");
  const auth = `<auth id="${isPassword ? "passwd" : "main"}">${parts.join("\n")}</auth>`;
  if (as === "auth-alone") return `${HEAD}${auth}\n`;
  return configAuth("auth-request", [opaqueOf(form, names), auth]);
}

/** The page that ends a login: openconnect shows its text and gives up, AnyConnect shows it in a box. */
export function encodeLoginRefusal(message: string, as: XmlForm = "config-auth"): string {
  const auth = `<auth id="main">${TITLE}${errorOf(message)}</auth>`;
  return as === "auth-alone" ? `${HEAD}${auth}\n` : configAuth("auth-request", [auth]);
}

/** Asks the client to come again with a certificate, or with `client-cert-fail`. */
export function encodeCertificateRequest(): string {
  return configAuth("auth-request", ["<client-cert-request/>"]);
}

export interface LoginSuccess {
  readonly token: string;
  readonly banner?: string | undefined;
  /** SHA-1 of the server's certificate, hex. */
  readonly certificateHash: string;
  readonly profile: { readonly file: string; readonly hash: string } | undefined;
}

/** The page that ends a login well. openconnect takes the token from here or from its cookie, AnyConnect from both. */
export function encodeLoginSuccess(success: LoginSuccess, as: XmlForm = "config-auth"): string {
  const { token, banner, certificateHash, profile } = success;
  const shown = banner === undefined ? "" : `<banner>${escapeXml(banner)}</banner>`;
  const auth = `<auth id="success">${TITLE}<message id="0" param1="" param2=""></message>${shown}</auth>`;
  if (as === "auth-alone") return `${HEAD}${auth}\n`;
  const hash = escapeXml(certificateHash.toUpperCase());
  const config = [
    '<config client="vpn" type="private">',
    `<vpn-base-config><server-cert-hash>${hash}</server-cert-hash></vpn-base-config>`,
    profile === undefined ? "" : profileManifest(profile),
    "</config>",
  ].join("");
  return configAuth("complete", [
    `<session-token>${escapeXml(token)}</session-token>`,
    auth,
    config,
  ]);
}

/**
 * The names under which fields go over the wire. AnyConnect is known to answer under four names alone, so a field of any other
 * name borrows one that is free, and `opaque` says which it was; openconnect answers under any name but renames some
 * (`answer`, `new_password` become `password`).
 */
export function wireNames(fields: readonly LoginField[]): readonly string[] {
  const taken = new Set(fields.map(({ name }) => name).filter((name) => STANDARD.has(name)));
  return fields.map(({ name, kind }) => {
    if (STANDARD.has(name)) return name;
    const free = BY_KIND[kind].find((standard) => !taken.has(standard));
    if (free === undefined) return name;
    taken.add(free);
    return free;
  });
}

function opaqueOf(form: LoginForm, names: readonly string[]): string {
  const renamed = form.fields.flatMap(({ name }, index) => {
    const onWire = names[index] ?? name;
    return onWire === name ? [] : [[onWire, name] as const];
  });
  const all = form.browse ? [...renamed, [SSO_FIELD, form.browse.tokenCookie] as const] : renamed;
  const entries = all.map(
    ([onWire, name]) =>
      `<${FIELD_NAME} on-wire="${escapeXml(onWire)}">${escapeXml(name)}</${FIELD_NAME}>`,
  );
  return [
    '<opaque is-for="sg">',
    `<tunnel-group>${escapeXml(form.group)}</tunnel-group>`,
    form.browse ? "<auth-method>single-sign-on-v2</auth-method>" : "",
    `<${LOGIN_HANDLE}>${escapeXml(form.opaque)}</${LOGIN_HANDLE}>`,
    ...entries,
    "</opaque>",
  ].join("");
}

function inputOf({ label, kind, value }: LoginField, name: string): string {
  const given = value === undefined ? "" : ` value="${escapeXml(value)}"`;
  return `<input type="${kind}" name="${escapeXml(name)}" label="${escapeXml(label)}"${given}/>`;
}

/** The group that the user chose stands first: several clients show the first one whatever is marked as selected. */
function groupList({ groups, group }: LoginForm): string {
  if (groups.length < 2) return "";
  const chosen = groups.filter(({ name }) => name === group);
  const others = groups.filter(({ name }) => name !== group);
  const options = [...chosen, ...others].map(({ name, label }) => {
    const selected = name === group ? ' selected="true"' : "";
    return `<option value="${escapeXml(name)}"${selected}>${escapeXml(label)}</option>`;
  });
  return `<select name="group_list" label="Group:">${options.join("")}</select>`;
}

function browserLogin(login: BrowserLogin): string {
  const element = (name: string, text: string) => `<${name}>${escapeXml(text)}</${name}>`;
  return [
    element("sso-v2-login", login.loginUrl),
    element("sso-v2-login-final", login.finalUrl),
    element("sso-v2-token-cookie-name", login.tokenCookie),
    element("sso-v2-error-cookie-name", login.errorCookie),
    login.isExternal ? element("sso-v2-browser-mode", "external") : "",
  ].join("\n");
}

/** The text stands in the element itself: a `%s` in it is no place for a parameter, since there are none. */
function errorOf(message: string): string {
  return `<error id="88" param1="" param2="">${escapeXml(message)}</error>`;
}

function profileManifest({ file, hash }: { readonly file: string; readonly hash: string }): string {
  return [
    '<vpn-profile-manifest><vpn rev="1.0"><file type="profile" service-type="user">',
    `<uri>/profiles/${escapeXml(encodeURIComponent(file))}</uri>`,
    `<hash type="sha1">${escapeXml(hash.toUpperCase())}</hash>`,
    "</file></vpn></vpn-profile-manifest>",
  ].join("");
}

function configAuth(type: "auth-request" | "complete", parts: readonly string[]): string {
  const open = `<config-auth client="vpn" type="${type}" aggregate-auth-version="2">`;
  return `${HEAD}${open}\n${[VERSION, ...parts].join("\n")}\n</config-auth>\n`;
}

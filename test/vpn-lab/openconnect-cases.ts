/** What a stock client may differ in: how it logs in, its TLS, what becomes of UDP, which family is outside, what befalls it. */
export const AXES = {
  authentication: ["certificate", "password", "totp", "ldap", "radius", "oidc"],
  tls: ["1.2", "1.3"],
  udp: ["psk", "resumption", "blocked"],
  outside: [4, 6],
  incident: ["reconnect", "roaming", "restart"],
} as const;

export type OpenconnectCase = {
  readonly [axis in keyof typeof AXES]: (typeof AXES)[axis][number];
};

type Row = readonly [
  OpenconnectCase["authentication"],
  OpenconnectCase["tls"],
  OpenconnectCase["udp"],
  OpenconnectCase["outside"],
  OpenconnectCase["incident"],
];

/** As few as there can be: each way to log in meets each fate of UDP and each incident once. */
const ROWS: readonly Row[] = [
  ["certificate", "1.3", "psk", 4, "reconnect"],
  ["password", "1.3", "blocked", 4, "reconnect"],
  ["totp", "1.2", "resumption", 6, "reconnect"],
  ["ldap", "1.2", "psk", 4, "reconnect"],
  ["radius", "1.2", "blocked", 6, "reconnect"],
  ["oidc", "1.3", "resumption", 6, "reconnect"],
  ["certificate", "1.2", "resumption", 4, "roaming"],
  ["password", "1.3", "psk", 6, "roaming"],
  ["totp", "1.3", "blocked", 4, "roaming"],
  ["ldap", "1.3", "resumption", 4, "roaming"],
  ["radius", "1.2", "psk", 4, "roaming"],
  ["oidc", "1.2", "blocked", 4, "roaming"],
  ["certificate", "1.3", "blocked", 6, "restart"],
  ["password", "1.2", "resumption", 6, "restart"],
  ["totp", "1.3", "psk", 6, "restart"],
  ["ldap", "1.2", "blocked", 6, "restart"],
  ["radius", "1.3", "resumption", 4, "restart"],
  ["oidc", "1.2", "psk", 6, "restart"],
];

/** Every pair of values of two axes occurs in some case. */
export const CASES: readonly OpenconnectCase[] = ROWS.map(
  ([authentication, tls, udp, outside, incident]) => ({
    authentication,
    tls,
    udp,
    outside,
    incident,
  }),
);

import type { Explanations } from "./explanations.ts";

/** Certification authorities, keys, ledger and this host. */
export const AUTHORITY_EXPLANATIONS: Explanations = {
  "ca-unavailable": [
    "no authority for this profile can sign at the moment",
    "see `check`: it asks each authority; the device comes back by itself",
  ],
  "ca-unreachable": [
    "the CA cannot be reached",
    "see `check` and the network to it; the device comes back by itself",
  ],
  "ca-credentials": [
    "the CA does not accept this connector's credentials",
    "renew token, key or certificate in the files that the authority's configuration names",
  ],
  "ca-answer": [
    "the CA answered with something that cannot be used",
    "see the CA's own log at that time; the device comes back by itself",
  ],
  "ca-refused": [
    "the CA refused the request",
    "see the CA's own log and the policy of its profile or template",
  ],
  "ca-mismatch": [
    "the CA issued something else than the profile asks for; it was revoked there",
    "make the CA's template give what the profile says: names, usages, validity",
  ],
  "ca-names": [
    "AD CS takes names from the device's request, which asks for others than the profile gives",
    "let the device's SCEP profile ask for exactly the subject and names of the profile here",
  ],
  "ca-denied": [
    "a manager or a policy of AD CS denied the request",
    "see the CA's words, and its failed requests",
  ],
  "kerberos-key": [
    "the ticket is not encrypted with AES",
    "allow AES for the account of the CA's web server, and change its password once",
  ],
  "ca-": ["the CA could not do what was asked", "see the message, and the CA's own log"],
  "ca-cannot-revoke": [
    "this kind of CA offers no way to revoke",
    "revoke the certificate at the CA by hand",
  ],
  "authority-": [
    "the embedded CA's folder is not as it has to be",
    "`ca status` shows it; `ca init` makes one, `ca restore` brings one back",
  ],
  "authority-unknown": [
    "the profile names an authority that this connector does not have",
    "correct ca in the profile, or add the authority to the local configuration",
  ],
  "issuer-expiring": [
    "the issuing CA's certificate ends within a day",
    "put its successor in place: nothing is issued for so short a time",
  ],
  "issuer-gone": [
    "the intent was made for an issuing CA that is not here any more",
    "bring that CA's key back for as long as intents of it are open, or let the device enrol anew",
  ],
  "issuer-file": [
    "the file with the remote CA's certificate cannot be used",
    "put the issuing certificate first and its chain after it into issuerFile",
  ],
  "provisioner-key": [
    "step-ca's provisioner key cannot be read or opened",
    "correct keyFile and passwordFile of that authority",
  ],
  "cfssl-auth-key": ["CFSSL's authentication key is not hexadecimal", "correct authKeyFile"],
  "serial-ambiguous": [
    "two authorities have used the same serial number",
    "name the issuer together with the serial number",
  ],
  "hsm-": [
    "the HSM could not do what was asked",
    "see the message and the HSM's own log; `check` tests slot, login and keys",
  ],
  "hsm-busy": [
    "more signatures wait for the HSM than are kept",
    "nothing: the device comes back; if it stays so, the HSM is the limit",
  ],
  "hsm-pin-refused": [
    "the HSM refused the PIN; it is not tried again, for that could lock the token",
    "put the right PIN into its file: it is tried once the file has changed",
  ],
  "hsm-pin-last-try": [
    "one more wrong PIN would lock the token, so none is tried",
    "log in once with the vendor's tool and the right PIN, which resets the count",
  ],
  "hsm-pin-locked": [
    "the token's PIN is locked",
    "have the token's security officer set a new one, and put it into the pinFile",
  ],
  "hsm-package-missing": [
    "keys in an HSM need the package pkcs11js, which cannot be loaded",
    "install it: npm install pkcs11js, with g++, make and python3 on the machine that compiles it",
  ],
  "hsm-token-missing": [
    "the HSM has no such token, or is not there",
    "see that it is on and reachable, and compare tokenLabel or slot with the tokens that the message names",
  ],
  "hsm-key-": [
    "the token's key is missing, of another kind, not alone under its name, or not the certificate's",
    "compare issuingKeyLabel, raKeyLabel and their ids with the keys that the vendor's tool shows",
  ],
  "hsm-mechanism-missing": [
    "the token does not offer what is asked of it, e.g. raw RSA in FIPS mode",
    "allow it in the token's policy, or keep this key (most often the RA's) in a file",
  ],
  "root-key-mismatch": [
    "the key that was given is not the one of the root's certificate",
    "give the file that `ca init` wrote, or the root's certificate with --root-cert",
  ],
  "ra-in-token": [
    "the RA's key is in a token, where only the running service makes new ones",
    "start the service and ask again, or keep the key with --same-key",
  ],
  "ra-not-renewed": [
    "the RA's new key is not published yet",
    "wait until every replica has loaded it; the log says why where one cannot",
  ],
  "file-exists": ["a file is where the result would go", "name another, or move it away"],
  "file-unreadable": ["a file that was named cannot be read", "see its name and its rights"],
  "secret-unreadable": [
    "a file that holds a secret is not there, empty, or closed to this user",
    "correct its path in the local configuration; the service's user has to read it (mode 600)",
  ],
  "key-unreadable": [
    "a private key cannot be opened",
    "the passphrase file is not the one that it was made with; `ca restore` brings both back",
  ],
  "key-unavailable": [
    "no usable key of the RA is at hand",
    "see the log at the start; `check` tests the RA's key",
  ],
  "keys-busy": ["more keys are being made than are kept waiting", "nothing: ask again later"],
  "import-key-": [
    "the key for imported PFX files is not as it has to be",
    "list the keys, and make or name one",
  ],
  "clock-behind": [
    "this machine's clock is behind the last issuance: nothing is signed",
    "set the clock right (NTP); if it was ahead before, wait until that time has come",
  ],
  "clock-offset": [
    "this machine's clock and the control plane's are too far apart: nothing is signed",
    "synchronise the clock of whichever is wrong (NTP)",
  ],
  "ledger-no-intent": [
    "a certificate came back that nobody intended",
    "was the ledger restored while the service ran? report it with the log",
  ],
  "ledger-elsewhere": [
    "the ledger is in a shared database, and the backup is of a file, or the other way round",
    "use the database's own backup for a shared ledger",
  ],
  "database-none": [
    "the configuration names no database",
    "`ca restore` puts back a ledger that is in a file",
  ],
  "ledger-newer": [
    "the ledger in place is newer than the backup",
    "restoring it would forget certificates; move the newer one away only if it is lost anyway",
  ],
  "store-": [
    "the database could not do what was asked",
    "see disk space and the log; with PostgreSQL the connection to it",
  ],
  "revocation-list-too-large": [
    "more certificates are revoked than one list may hold",
    "a new issuing CA is due",
  ],
  "backup-": [
    "the backup folder is not as it has to be",
    "name a folder that does not exist yet for a backup, and one that `ca backup` made for a restore",
  ],
  listen: [
    "the address or port cannot be listened on",
    "see what else listens there; change listen in the configuration",
  ],
  "code-unknown": [
    "no error of this service has this code",
    "`explain` without a code lists them all",
  ],
  "not-running": ["the service does not run", "start it, then ask again"],
  "not-standalone": [
    "the command is for connectors without control plane",
    "make challenges at the control plane",
  ],
};

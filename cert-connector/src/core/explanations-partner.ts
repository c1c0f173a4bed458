import type { Explanations } from "./explanations.ts";

/** Those whom the connector asks and tells: Intune, webhooks, directories. */
export const PARTNER_EXPLANATIONS: Explanations = {
  "intune-": [
    "Intune refused the request; the message says why",
    "correct the SCEP profile or its assignment in Intune accordingly, and let the device synchronise",
  ],
  "intune-unreachable": [
    "Intune cannot be reached",
    "see `check` and the proxy; the device comes back by itself",
  ],
  "intune-answer": [
    "Intune answered with something that cannot be read",
    "try again later; see Microsoft's service health, and a proxy that changes answers",
  ],
  "intune-certificate": [
    "the TLS certificate of Intune's address is not trusted",
    "a proxy that inspects TLS has to let these addresses through, or its CA has to be configured",
  ],
  "intune-credential": [
    "the credential of the app registration cannot be used",
    "renew secret or certificate in the tenant's configuration",
  ],
  "intune-token": [
    "Entra ID gives no token to this app registration",
    "see tenant id, client id and credential; has the secret expired?",
  ],
  "intune-discovery": [
    "the tenant's Intune addresses cannot be found",
    "grant the app scep_challenge_provider and Application.Read.All with admin consent",
  ],
  "intune-host": [
    "the tenant's Intune address is outside the hosts that are allowed",
    "see the message; the allowed hosts stand in the tenant's configuration",
  ],
  "tenant-unknown": [
    "the profile names a tenant that the local configuration does not have",
    "add it to tenants of the local configuration, or correct the profile",
  ],
  "webhook-": ["the webhook could not be asked", "see the webhook's address, certificate and log"],
  "webhook-unknown": [
    "the profile names a webhook that the local configuration does not have",
    "add it to webhooks of the local configuration, or correct the profile",
  ],
  "notification-refused": [
    "the certificate was issued, but who validated the request does not want it; it is revoked",
    "see the notification's own error in the trace, and let the device enrol anew",
  ],
  "notification-expired": [
    "who validated the request could not be told for too long; the certificate is revoked",
    "see `check` for why it cannot be reached, then let the device enrol anew",
  ],
  "notifications-full": [
    "more notifications wait than are kept",
    "see `notifications list` for what keeps them",
  ],
  "notifier-missing": [
    "a notification is for a tenant or webhook that is not configured any more",
    "bring it back into the local configuration until the outbox is empty",
  ],
  "directory-": [
    "the directory could not be asked",
    "see `check`: it tests address, certificate, login and search",
  ],
  "directory-busy": [
    "more questions wait for the directory than are kept",
    "nothing: the device comes back; if it stays so, add servers to the directory's configuration",
  ],
  "directory-ambiguous": [
    "the directory's search finds several accounts for this device or user",
    "narrow the filter in the directory's configuration",
  ],
  "directory-key-missing": [
    "the challenge does not say whom to look for in the directory",
    "make challenges with a user principal name or device id, as the search needs",
  ],
  "directory-credentials": [
    "the directory does not accept this connector's credentials",
    "renew the password or ticket in the file that the configuration names",
  ],
  "kerberos-": [
    "there is no Kerberos ticket for the server, or it cannot be used",
    "check keytab, krb5.conf and clock, and that the server's account has the service principal name of the URL",
  ],
  "kerberos-unavailable": [
    "Kerberos is asked for, and its optional package or the system's library is not there",
    "build the image anew, or install libkrb5-dev and a C++ compiler, then `npm rebuild kerberos`",
  ],
  "kerberos-keytabs": [
    "two authorities name different keytabs, and a process has one",
    "put the keys of both accounts into one keytab",
  ],
  "credential-cache": [
    "the Kerberos credential cache is not one that can be read",
    "let KRB5CCNAME name a file, e.g. FILE:/run/isthmus/krb5cc",
  ],
  "wstep-answer": [
    "the enrolment web service answered with something that cannot be read",
    "compare the URL with the CES of the CA, and see the event log there",
  ],
  "pfx-import-": [
    "Microsoft Graph did not take the imported PFX",
    "see the message; run the same import again, which goes on where it stopped",
  ],
  "pfx-user-unknown": [
    "Microsoft Graph knows no user of this name",
    "compare the file's name with the user principal name in Entra ID",
  ],
  "pfx-folder": [
    "the folder to import from is not as it has to be",
    "name a folder of PFX files, each with the password file that the message asks for",
  ],
  "report-unreadable": [
    "the report of an earlier import cannot be read",
    "name another file for the report, and the import begins anew",
  ],
  "pfx-owner": [
    "the PFX belongs to another user than the recipient",
    "compare the user principal names of both",
  ],
  "pfx-unknown": ["no such PFX was imported", "import it, or compare the thumbprint"],
  "pfx-thumbprint": [
    "the PFX holds another certificate than its thumbprint says",
    "import it again with the import tool",
  ],
  "draft-unreadable": [
    "what was kept of the order cannot be opened",
    "order it anew; was the state folder's key replaced?",
  ],
  "ndes-unreachable": [
    "shadow mode could not reach the NDES server that it stands before",
    "see whether NDES runs and shadow.ndesUrl is right; devices get 502 until then",
  ],
  "ndes-answer": [
    "the NDES server answered more than 4 MiB",
    "see what answers at shadow.ndesUrl; it is no NDES",
  ],
  "shadow-key": [
    "shadow.raKeyFile is not the key of the certificate in shadow.raCertificateFile",
    "export both from the same entry of NDES's certificate store",
  ],
  "not-shadow": [
    "shadow mode is off",
    "set shadow in the local configuration, with the address of the NDES server",
  ],
};

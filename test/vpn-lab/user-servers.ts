import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findTool, type ToolName } from "../tools.ts";
import { type Serving, serving } from "./serving.ts";

export interface ServerPlace {
  /** An empty folder for its files. */
  readonly folder: string;
  readonly address: string;
  readonly port: number;
  /** Starts a program there: on this machine, or in a namespace of a lab. */
  readonly launch: (words: readonly string[]) => ChildProcess;
  /** Runs one there to its end and answers what it printed. */
  readonly run: (words: readonly string[]) => Promise<string>;
}

/** What the directory's accounts and the RADIUS users have for passwords. */
export const PASSWORDS = { alice: "alice's password", admin: "the searching account's password" };
export const RADIUS_SECRET = "a shared secret of the tests";
const SUFFIX = "dc=example,dc=com";
export const LDAP_ACCOUNT = { bindDn: `cn=search,${SUFFIX}`, baseDn: SUFFIX };
/** carol is asked for a code beyond her password. */
export const RADIUS_CHALLENGE = { user: "carol", password: "carol's password", code: "135790" };

/**
 * OpenLDAP over TLS with a user in the group `staff` and odd ones, and on `startTlsPort` for StartTLS. Its output names every bind.
 */
export async function startSlapd(
  place: ServerPlace,
  tls: { readonly certificateFile: string; readonly keyFile: string },
  startTlsPort?: number,
): Promise<Serving> {
  const { folder, address, port } = place;
  mkdirSync(join(folder, "data"), { recursive: true });
  const configuration = join(folder, "slapd.conf");
  const schema = (name: string) => `include /etc/ldap/schema/${name}.schema`;
  writeFileSync(
    configuration,
    `${["core", "cosine", "inetorgperson"].map(schema).join("\n")}
pidfile ${join(folder, "slapd.pid")}
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile ${tls.certificateFile}
TLSCertificateKeyFile ${tls.keyFile}
database mdb
suffix "${SUFFIX}"
rootdn "${LDAP_ACCOUNT.bindDn}"
rootpw "${PASSWORDS.admin}"
directory ${join(folder, "data")}
`,
  );
  const entries = join(folder, "entries.ldif");
  writeFileSync(entries, LDIF);
  await place.run([pathOf("slapadd"), "-f", configuration, "-l", entries]);
  const words = [pathOf("slapd"), "-d", "stats", "-f", configuration];
  const plain = startTlsPort === undefined ? "" : ` ldap://${address}:${startTlsPort}`;
  const child = place.launch([...words, "-h", `ldaps://${address}:${port}${plain}`]);
  return serving("slapd", child, () => isOpen(place, "tcp"));
}

/** FreeRADIUS by PAP, with a challenge for one of its users; every answer is signed. */
export async function startFreeradius(place: ServerPlace): Promise<Serving> {
  const { folder } = place;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "dictionary"), "$INCLUDE /usr/share/freeradius/dictionary\n");
  writeFileSync(join(folder, "users"), USERS);
  writeFileSync(join(folder, "radiusd.conf"), radiusConfiguration(place));
  const child = place.launch([pathOf("freeradius"), "-f", "-l", "stdout", "-d", folder]);
  return serving("freeradius", child, () => isOpen(place, "udp"));
}

const LDIF = `dn: ${SUFFIX}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=Alice,${SUFFIX}
objectClass: inetOrgPerson
cn: Alice
sn: Example
uid: alice
mail: alice@example.com
departmentNumber: staff
userPassword: ${PASSWORDS.alice}

dn: cn=Bob (Sales\\, North),${SUFFIX}
objectClass: inetOrgPerson
cn: Bob (Sales, North)
sn: Example
uid: b*b
mail: bob@example.com
userPassword: ${PASSWORDS.alice}

dn: cn=Nameless,${SUFFIX}
objectClass: inetOrgPerson
cn: Nameless
sn: Example
uid: nameless
userPassword: ${PASSWORDS.alice}

dn: cn=Passwordless,${SUFFIX}
objectClass: inetOrgPerson
cn: Passwordless
sn: Example
uid: passwordless
mail: passwordless@example.com

${[1, 2, 3].map(twin).join("\n")}`;

/** One of several whom nobody could tell apart by name. */
function twin(number: number): string {
  return `dn: cn=Twin ${number},${SUFFIX}
objectClass: inetOrgPerson
cn: Twin ${number}
sn: Example
uid: twin
mail: twin${number}@example.com
userPassword: ${PASSWORDS.alice}
`;
}

const USERS = `alice Cleartext-Password := "${PASSWORDS.alice}"
  Class := "OU=staff;"
`;

function radiusConfiguration({ folder, address, port }: ServerPlace): string {
  const { user, password, code } = RADIUS_CHALLENGE;
  return `prefix = /usr
raddbdir = ${folder}
logdir = ${folder}
run_dir = ${folder}
libdir = /usr/lib/freeradius
pidfile = ${join(folder, "pid")}
security {
  reject_delay = 0
}
client anyone {
  ipaddr = 0.0.0.0/0
  secret = "${RADIUS_SECRET}"
  require_message_authenticator = yes
}
thread pool {
  start_servers = 1
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
}
modules {
  files {
    usersfile = ${join(folder, "users")}
  }
  pap {
  }
  always handled {
    rcode = handled
  }
  always reject {
    rcode = reject
  }
}
server default {
  listen {
    type = auth
    ipaddr = ${address}
    port = ${port}
  }
  authorize {
    if (&User-Name == "${user}" && &State) {
      if (&User-Password == "${code}") {
        update control {
          &Auth-Type := Accept
        }
      }
      else {
        reject
      }
    }
    elsif (&User-Name == "${user}" && &User-Password == "${password}") {
      update reply {
        &Reply-Message := "Enter the code of your token"
        &State := 0x6368616c6c656e6765
        &Message-Authenticator := 0x00
      }
      update control {
        &Response-Packet-Type := Access-Challenge
      }
      handled
    }
    else {
      files
      pap
    }
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
  }
  post-auth {
    update reply {
      &Message-Authenticator := 0x00
    }
    Post-Auth-Type REJECT {
      update reply {
        &Message-Authenticator := 0x00
      }
    }
  }
}
`;
}

/** Whether somebody listens, asked where the server runs. */
async function isOpen({ port, run }: ServerPlace, kind: "tcp" | "udp"): Promise<boolean> {
  const flag = kind === "tcp" ? "-Hltn" : "-Hlun";
  return (await run(["ss", flag, `sport = :${port}`])).trim() !== "";
}

function pathOf(name: ToolName): string {
  const path = findTool(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A foreign program that some test or bench plays against, and where Debian has it. */
interface Tool {
  /** The command, as a person would type it. */
  readonly command: string;
  /** Debian packages that bring it. */
  readonly packages: readonly string[];
  /** `small` ones are installed by `npm test`, `large` ones only with CI=true or `npm run test:setup`. */
  readonly size: "small" | "large";
  /** A folder with one folder per installed version, where Debian keeps what is not for the PATH. */
  readonly versionsIn?: string;
  /** Of what is no program of its own: the file by which it is known to be there. */
  readonly file?: string;
}

/** A domain controller of Active Directory, about 75 MB. */
const SAMBA = ["samba", "samba-ad-provision", "samba-dsdb-modules", "samba-vfs-modules", "winbind"];

/** Every foreign program of the tests and benches. A test names one of these; nothing else is looked for. */
export const TOOLS = {
  openssl: { command: "openssl", packages: ["openssl"], size: "small" },
  curl: { command: "curl", packages: ["curl", "ca-certificates"], size: "small" },
  pki: { command: "pki", packages: ["strongswan-pki"], size: "small" },
  scepclient: { command: "scepclient", packages: ["scep"], size: "small" },
  certmonger: { command: "certmonger", packages: ["certmonger"], size: "small" },
  getcert: { command: "getcert", packages: ["certmonger"], size: "small" },
  scepserver: { command: "scepserver", packages: ["scep"], size: "small" },
  tinyproxy: { command: "tinyproxy", packages: ["tinyproxy-bin"], size: "small" },
  nginx: { command: "nginx", packages: ["nginx-light", "libnginx-mod-stream"], size: "small" },
  pk12util: { command: "pk12util", packages: ["libnss3-tools"], size: "small" },
  certutil: { command: "certutil", packages: ["libnss3-tools"], size: "small" },
  samba: { command: "samba", packages: SAMBA, size: "small" },
  sambaTool: { command: "samba-tool", packages: SAMBA, size: "small" },
  ldbadd: { command: "ldbadd", packages: ["ldb-tools"], size: "small" },
  ldbmodify: { command: "ldbmodify", packages: ["ldb-tools"], size: "small" },
  ldbsearch: { command: "ldbsearch", packages: ["ldb-tools"], size: "small" },
  fusioninventory: {
    command: "fusioninventory-agent",
    packages: ["fusioninventory-agent"],
    size: "small",
  },
  gssapi: {
    command: "gssapi of Debian's python3",
    packages: ["python3", "python3-gssapi"],
    size: "small",
    file: "/usr/lib/python3/dist-packages/gssapi/__init__.py",
  },
  postgres: {
    command: "postgres",
    packages: ["postgresql"],
    size: "small",
    versionsIn: "/usr/lib/postgresql",
  },
  softhsm: { command: "softhsm2-util", packages: ["softhsm2"], size: "small" },
  cfssl: { command: "cfssl", packages: ["golang-cfssl"], size: "small" },
  ip: { command: "ip", packages: ["iproute2"], size: "small" },
  nft: { command: "nft", packages: ["nftables"], size: "small" },
  ping: { command: "ping", packages: ["iputils-ping"], size: "small" },
  openconnect: { command: "openconnect", packages: ["openconnect"], size: "small" },
  ocproxy: { command: "ocproxy", packages: ["ocproxy"], size: "small" },
  ocserv: { command: "ocserv", packages: ["ocserv"], size: "small" },
  haproxy: { command: "haproxy", packages: ["haproxy"], size: "small" },
  iperf3: { command: "iperf3", packages: ["iperf3"], size: "small" },
  freeradius: { command: "freeradius", packages: ["freeradius"], size: "small" },
  slapd: { command: "slapd", packages: ["slapd"], size: "small" },
  slapadd: { command: "slapadd", packages: ["slapd"], size: "small" },
  chromium: { command: "chromium", packages: ["chromium"], size: "large" },
  go: {
    command: "go",
    packages: ["golang-go", "golang-github-smallstep-certificates-dev"],
    size: "large",
  },
  docker: { command: "docker", packages: ["docker.io"], size: "large" },
  dockerd: { command: "dockerd", packages: ["docker.io"], size: "large" },
  debootstrap: { command: "debootstrap", packages: ["debootstrap"], size: "large" },
} as const satisfies Readonly<Record<string, Tool>>;

export type ToolName = keyof typeof TOOLS;

/** Where Debian keeps programs for root, which the PATH of an ordinary account lacks. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The path of an installed tool, or undefined. */
export function findTool(name: ToolName): string | undefined {
  const { versionsIn, file }: Tool = TOOLS[name];
  if (file !== undefined) return existsSync(file) ? file : undefined;
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    ...SYSTEM_FOLDERS,
    ...versionFolders(versionsIn),
  ];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, TOOLS[name].command))
    .find(isProgram);
}

/** The newest version's programs first. */
function versionFolders(folder: string | undefined): string[] {
  if (folder === undefined || !existsSync(folder)) return [];
  return readdirSync(folder)
    .sort((one, other) => Number(other) - Number(one))
    .map((version) => join(folder, version, "bin"));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

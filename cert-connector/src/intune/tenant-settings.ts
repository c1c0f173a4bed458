import type { HttpProxy } from "@isthmus/shared/link/http-proxy";

/** How this connector proves to Microsoft Entra ID which application it is. Every file is read again for each token. */
export type TenantCredential =
  | { readonly kind: "secret"; readonly file: string }
  | {
      readonly kind: "certificate";
      readonly certificateFile: string;
      readonly keyFile: string;
      readonly passphraseFile?: string | undefined;
      readonly algorithm: "PS256" | "RS256";
    }
  | { readonly kind: "federated"; readonly tokenFile: string };

/** Where a cloud's services are. Each URL is an origin, without a path and without a slash at its end. */
export interface TenantHosts {
  /** Microsoft Entra ID, e.g. `https://login.microsoftonline.com`. */
  readonly login: string;
  /** Microsoft Graph, e.g. `https://graph.microsoft.com`. */
  readonly graph: string;
  /** The resource that tokens for Intune are asked for, e.g. `https://api.manage.microsoft.com`. */
  readonly intune: string;
  /** A service that discovery names has to be such a host or one below it. */
  readonly allowed: readonly string[];
}

/** One tenant of Microsoft Intune. */
export interface TenantSettings {
  /** The name that profiles use. */
  readonly name: string;
  /** A GUID or a domain of the tenant. */
  readonly tenantId: string;
  readonly clientId: string;
  readonly credential: TenantCredential;
  readonly hosts: TenantHosts;
  /** PEM of the CAs that the services' certificates may chain to, instead of the public ones. */
  readonly ca: string | undefined;
  readonly proxy: HttpProxy | undefined;
  /** For one HTTP request. */
  readonly timeoutMs: number;
}

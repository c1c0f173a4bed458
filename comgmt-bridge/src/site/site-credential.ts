import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";

/** How we show who we are to the AdminService. */
export interface SiteCredential {
  /** Which of the service's two fronts takes it. */
  readonly basePath: "/AdminService_TokenAuth/" | "/AdminService/";
  /** The `Authorization` header of one request. */
  authorization(host: string): Promise<string>;
}

/** RFC 6750 section 2.1. */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/;

/** A bearer token that something else renews in a file: read for each request, so that the next one has the new token. */
export function tokenCredential(file: string): SiteCredential {
  return {
    basePath: "/AdminService_TokenAuth/",
    async authorization() {
      const token = readSecretFile(file);
      if (BEARER.test(token)) return `Bearer ${token}`;
      throw new ConnectorError(
        "site-token",
        `secret file ${file} holds no bearer token: one line of letters, digits and ._~+/-= is expected`,
      );
    },
  };
}

/** Kerberos with a keytab is configured but cannot be used by this version yet: each request says so. */
export function kerberosCredential(principal: string): SiteCredential {
  return {
    basePath: "/AdminService/",
    authorization(host) {
      const error = new ConnectorError(
        "site-kerberos-missing",
        `site.kerberos (${principal}) cannot be used for ${host} yet: this version of the bridge makes no Kerberos tokens; configure site.tokenFile instead`,
      );
      return Promise.reject(error);
    },
  };
}

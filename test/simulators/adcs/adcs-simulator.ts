import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import { derToPem, pemToDer } from "@isthmus/shared/x509/pem";
import { AdcsAuthority, AdcsFailure, type AdcsTemplate, HRESULT } from "./adcs-authority.ts";
import { authorityPage, failurePage, pageOf } from "./adcs-pages.ts";
import type { GssAcceptor } from "./gss-acceptor.ts";
import { answerWstep } from "./wstep-service.ts";

export interface AdcsOptions {
  readonly issuer: TestIdentity;
  /** Of the web server; its signature's digest is SHA-256. */
  readonly server: TestIdentity;
  readonly templates: Readonly<Record<string, AdcsTemplate>>;
  /** With an acceptor only tickets that are bound to the channel are let in, as with EPA required. */
  readonly login: { readonly user: string; readonly password: string } | GssAcceptor;
}

export interface AdcsSimulator extends AsyncDisposable {
  readonly port: number;
  readonly authority: AdcsAuthority;
  /** Method and path of what was asked, and who asked. */
  readonly asked: { readonly what: string; readonly user: string }[];
  /** The next answer to an address with this in it is cut off before it begins. */
  cutNext: string | undefined;
}

const CES = "/CA_CES_Kerberos/service.svc/CES";

/** A CA of Windows Server with both of its web front doors, on 127.0.0.1. */
export async function startAdcsSimulator(options: AdcsOptions): Promise<AdcsSimulator> {
  const { server: identity, issuer, templates } = options;
  const authority = new AdcsAuthority(issuer, templates);
  const asked: AdcsSimulator["asked"] = [];
  const simulator = { port: 0, authority, asked, cutNext: undefined as string | undefined };
  const server = createServer(
    {
      cert: derToPem(identity.certificate.der, "CERTIFICATE"),
      key: identity.key.export({ type: "pkcs8", format: "pem" }),
    },
    (request, response) => {
      void serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    },
  );

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString("utf8");
    const url = new URL(request.url ?? "", "https://localhost");
    const isInMessage = url.pathname === CES && !("accept" in options.login);
    const user = isInMessage ? "-" : await userOf(request.headers.authorization);
    if (user === undefined) {
      response.writeHead(401, { "www-authenticate": "Negotiate" }).end("401 - Unauthorized");
      return;
    }
    asked.push({ what: `${request.method} ${url.pathname}`, user });
    const answer = await answerTo(`${request.method} ${url.pathname}`, url, request, body);
    if (simulator.cutNext !== undefined && request.url?.includes(simulator.cutNext)) {
      simulator.cutNext = undefined;
      response.destroy();
      return;
    }
    response.writeHead(answer.status, { "content-type": answer.type }).end(answer.body);
  }

  async function userOf(header: string | undefined): Promise<string | undefined> {
    const [scheme, value = ""] = (header ?? "").split(" ");
    if ("accept" in options.login) {
      if (scheme !== "Negotiate") return undefined;
      const accepted = await options.login.accept(value, channelOf(identity));
      return "user" in accepted && accepted.bound ? accepted.user : undefined;
    }
    const { user, password } = options.login;
    const shown = Buffer.from(value, "base64").toString("utf8");
    return scheme === "Basic" && shown === `${user}:${password}` ? user : undefined;
  }

  async function answerTo(what: string, url: URL, request: IncomingMessage, body: string) {
    switch (what) {
      case "POST /certsrv/certfnsh.asp":
        return html(await finish(request, body));
      case "GET /certsrv/certnew.cer":
        return certificate(url.searchParams);
      case "GET /certsrv/certcarc.asp":
        return html(authorityPage(1));
      case `POST ${CES}`: {
        const isSoap = request.headers["content-type"] === "application/soap+xml; charset=utf-8";
        if (!isSoap) return { status: 415, type: "text/plain", body: "" };
        const login = "accept" in options.login ? undefined : options.login;
        const address = `https://${request.headers.host}${CES}`;
        const reply = await answerWstep(body, authority, address, login);
        return { ...reply, type: "application/soap+xml; charset=utf-8" };
      }
      default:
        return { status: 404, type: "text/html", body: "404" };
    }
  }

  async function finish(request: IncomingMessage, body: string): Promise<string> {
    const form = new URLSearchParams(body);
    const mode = form.get("Mode") === "chkpnd" ? "chkpnd" : "newreq";
    try {
      checkForm(request.headers["content-type"], form, mode);
      if (mode === "chkpnd") return pageOf(authority.find(Number(form.get("ReqID"))), mode);
      const [der = Buffer.alloc(0)] = pemToDer(
        form.get("CertRequest") ?? "",
        "CERTIFICATE REQUEST",
      );
      return pageOf(await authority.submit(der, linesOf(form.get("CertAttrib") ?? "")), mode);
    } catch (error) {
      if (error instanceof AdcsFailure) return failurePage(error, mode);
      throw error;
    }
  }

  function certificate(query: URLSearchParams) {
    const id = query.get("ReqID") ?? "";
    const isOwn = id === "CACert" && query.get("Renewal") === "1";
    const der = isOwn ? issuer.certificate.der : authority.find(Number(id)).certificate;
    if (der === undefined || query.get("Enc") !== "b64")
      return html(pageOf(authority.find(Number(id)), "chkpnd"));
    return { status: 200, type: "application/pkix-cert", body: derToPem(der, "CERTIFICATE") };
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  simulator.port = (server.address() as AddressInfo).port;
  return Object.assign(simulator, {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
}

function checkForm(type: string | undefined, form: URLSearchParams, mode: "chkpnd" | "newreq") {
  const expected =
    mode === "chkpnd" ? "Mode,ReqID" : "Mode,CertRequest,CertAttrib,TargetStoreFlags,SaveCert";
  const isForm = type === "application/x-www-form-urlencoded";
  if (isForm && [...form.keys()].join() === expected) return;
  throw new AdcsFailure(HRESULT.badRequest, "The data is invalid.");
}

function html(body: string) {
  return { status: 200, type: "text/html; charset=UTF-8", body };
}

/** RFC 5929, by the library and not by what is tested. */
function channelOf({ certificate }: TestIdentity): Buffer {
  const digest = createHash("sha256").update(certificate.der).digest();
  return Buffer.concat([Buffer.from("tls-server-end-point:"), digest]);
}

function linesOf(text: string): Map<string, string> {
  if (!/^([A-Za-z]+:[^\r\n]*\r\n)+$/.test(text)) {
    throw new AdcsFailure(HRESULT.badRequest, "The data is invalid.");
  }
  const lines = text.split("\r\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 1),
    ]),
  );
}

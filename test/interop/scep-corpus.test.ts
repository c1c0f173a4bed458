import { join } from "node:path";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answerClass, openAnswer } from "../scep-clients/answer-class.ts";
import { CLIENTS } from "../scep-clients/clients.ts";
import {
  CORPUS_NOW,
  copyAuthority,
  corpusDeviceKey,
  recordedClients,
  recordedRequests,
} from "../scep-clients/corpus.ts";
import { corpusProfiles } from "../scep-clients/corpus-profiles.ts";
import { sendRaw } from "../scep-clients/http-request.ts";
import { recordCorpus } from "../scep-clients/record-corpus.ts";

/** Requests as they were recorded once, played to the service of today: what a client of then is answered may not change. */

if (process.env["RECORD_SCEP_CORPUS"] === "1") await recordCorpus();

const folder = temporaryFolder();
let site: Awaited<ReturnType<typeof startConnector>>;
beforeAll(async () => {
  const ca = copyAuthority(join(folder.path, "authority"));
  site = await startConnector(corpusProfiles, { local: { ca }, now: CORPUS_NOW });
});
afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test("every emulated client is in the corpus", () => {
  expect(recordedClients().toSorted()).toEqual(CLIENTS.map(({ name }) => name).toSorted());
});

test.each(recordedClients())("%s is answered as it was", async (client) => {
  const requests = recordedRequests(client);
  expect(requests.map(({ answer }) => answer)).toContain("SUCCESS");
  for (const { name, answer, request } of requests) {
    const raw = await sendRaw(site.url, Buffer.from(request, "base64"));
    expect(`${name}: ${answerClass(raw)}`).toBe(`${name}: ${answer}`);
    if (answer === "SUCCESS") {
      const { certificate } = openAnswer(raw, corpusDeviceKey());
      expect(certificate.subjectAltNames[0]?.value).toMatch(`urn:isthmus:device:${client}-device-`);
    }
  }
});

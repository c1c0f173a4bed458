import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { openConnectorStore, startConnector } from "./connector-end.ts";

/** A connector in a process of its own, to be killed: it issues all the time, and its commands have an effect each. */
const [folder = "", settingsFile = ""] = process.argv.slice(2);
const settings = JSON.parse(readFileSync(settingsFile, "utf8"));
const store = await openConnectorStore(folder);

await startConnector({
  enrolled: { ...settings, privateKey: createPrivateKey(settings.privateKeyPem) },
  store,
  hooks: {
    run: async ({ id }) => {
      await store.run("takeEffect", { id, at: Date.now() });
      return { id };
    },
    reconcile: async ({ id }) => {
      const effects = await store.run("effects");
      return effects.includes(id) ? "succeeded" : "not-run";
    },
  },
}).then(async ({ link }) => {
  for (;;) {
    await store.run("issueNext", { at: Date.now() });
    link.wake("issuance");
  }
});

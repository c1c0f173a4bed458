import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { enrolConnector, openConnectorStore, startConnector } from "./link/connector-end.ts";
import { ControlPlaneEnd } from "./link/control-plane-end.ts";
import { makeServerTls } from "./link/tls.ts";

test.each(["websocket", "long-poll"] as const)(
  "a command runs and its result comes back over %s",
  async (transport) => {
    using folder = temporaryFolder();
    const tls = await makeServerTls();
    await using cloud = await ControlPlaneEnd.start({ folder: folder.path, tls });
    const enrolled = await enrolConnector(cloud);
    await using store = await openConnectorStore(folder.path);
    await using connector = await startConnector({ enrolled, store, options: { transport } });
    await until(() => connector.link.state().connected, "the connection");
    const id = await cloud.command(connector.connectorId, "health.report");
    await until(async () => (await cloud.commandState(id)) === "succeeded", "the result");
    expect(connector.record.ran.map((command) => command.id)).toEqual([id]);
    const row = await cloud.row("SELECT result FROM command WHERE id = ?", id);
    expect(JSON.parse(String(row?.["result"]))).toEqual({ done: id });
  },
);

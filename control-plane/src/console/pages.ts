import { randomUUID } from "node:crypto";
import { ApiRefusal, type ConsoleApi, requirePermission } from "./console-api.ts";
import { ask, confirmationPage, OFFERED_ACTIONS } from "./device-actions.ts";
import { deviceActionsPage } from "./device-actions-page.ts";
import { deviceApplicationsFile, deviceApplicationsPage } from "./device-applications-page.ts";
import { deviceCollectionsPage } from "./device-collections-page.ts";
import { pagePath, type ShownDevice, shownDevice } from "./device-frame.ts";
import {
  deviceClassPage,
  deviceComparePage,
  deviceInventoryPage,
} from "./device-inventory-page.ts";
import { deviceListFile, deviceListPage } from "./device-list-page.ts";
import { deviceOverviewPage } from "./device-overview-page.ts";
import { changeProperties, propertiesConfirmation, propertiesPage } from "./device-properties.ts";
import { askForRecoveryKeys, readRecoveryKeys, recoveryKeysPage } from "./device-recovery-keys.ts";
import { deviceTimelineFile, deviceTimelinePage } from "./device-timeline-page.ts";
import { deviceUpdatesPage } from "./device-updates-page.ts";
import type { Html } from "./html.ts";
import type { Page, PageAnswer, PageRequest } from "./page.ts";
import { SOURCE_PAGES } from "./source-pages.ts";

const DEVICE = "/devices/:id";
/** Custom properties, percent-encoded. */
const MAX_FORM_BYTES = 65_536;

export const PAGES: readonly Page[] = [
  {
    method: "get",
    path: "/devices",
    answer: ({ api, query }) => deviceListPage(api, query),
  },
  {
    method: "get",
    path: "/devices/export",
    answer: ({ api, query }) => deviceListFile(api, query),
  },
  fileOfDevice("/applications/export", deviceApplicationsFile),
  fileOfDevice("/timeline/export", deviceTimelineFile),
  ofDevice("", async ({ api }, device) => deviceOverviewPage(api, device)),
  ofDevice("/applications", ({ api, query }, device) => deviceApplicationsPage(api, device, query)),
  ofDevice("/updates", ({ api }, device) => deviceUpdatesPage(api, device)),
  ofDevice("/collections", ({ api, query }, device) => deviceCollectionsPage(api, device, query)),
  ofDevice("/inventory", ({ api, query }, device) => deviceInventoryPage(api, device, query)),
  ofDevice("/inventory/:class", ({ api, query, parameters }, device) =>
    deviceClassPage(api, device, { name: parameters["class"] ?? "", query }),
  ),
  ofDevice("/compare", ({ api, query }, device) => deviceComparePage(api, device, query)),
  ofDevice("/timeline", ({ api, query }, device) => deviceTimelinePage(api, device, query)),
  ofDevice("/actions", ({ api, query }, device) => deviceActionsPage(api, device, query)),
  ofDevice("/actions/confirm", async ({ api, query }, device) => {
    const action = offered(api, query.get("action"));
    return confirmationPage(api, device, { action, key: randomUUID() });
  }),
  { method: "post", path: `${DEVICE}/actions`, answer: askForAction },
  { method: "post", path: `${DEVICE}/actions/:operationId/cancel`, answer: cancel },
  ofDevice("/recovery-keys", async ({ api }, device) => recoveryKeysPage(api, device)),
  doesOfDevice("/recovery-keys", async ({ api }, device) => {
    try {
      return await askForRecoveryKeys(api, device);
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      return recoveryKeysPage(api, device, error.message);
    }
  }),
  doesOfDevice("/recovery-keys/:operationId", ({ api, form, parameters }, device) =>
    readRecoveryKeys(api, device, { operationId: parameters["operationId"] ?? "", form }),
  ),
  ofDevice("/properties", ({ api }, device) => propertiesPage(api, device)),
  doesOfDevice("/properties/confirm", ({ api, form }, device) =>
    orProperties(api, device, form, async () => propertiesConfirmation(api, device, form)),
  ),
  doesOfDevice("/properties", ({ api, form }, device) =>
    orProperties(api, device, form, () => changeProperties(api, device, form)),
  ),
  ...SOURCE_PAGES,
];

function ofDevice(
  below: string,
  show: (request: PageRequest, device: ShownDevice) => Promise<Html>,
): Page {
  return {
    method: "get",
    path: `${DEVICE}${below}`,
    answer: async (request) => {
      const device = await shownDevice(request.api, request.parameters["id"] ?? "");
      // The API, too, has nothing below it, and says so in the words of a device that is not there at all.
      if (below !== "" && !device.isSynced) {
        const words = `No source tells of ${device.name}: there is its overview alone`;
        throw new ApiRefusal(404, "not-found", words);
      }
      return { status: 200, page: await show(request, device) };
    },
  };
}

function fileOfDevice(
  below: string,
  file: (api: ConsoleApi, device: ShownDevice, query: URLSearchParams) => Promise<PageAnswer>,
): Page {
  return {
    method: "get",
    path: `${DEVICE}${below}`,
    answer: async ({ api, query, parameters }) =>
      file(api, await shownDevice(api, parameters["id"] ?? ""), query),
  };
}

/** A form about a device: answers a page, or the address of the one that is shown next. */
function doesOfDevice(
  below: string,
  does: (request: PageRequest, device: ShownDevice) => Promise<Html | string>,
): Page {
  return {
    method: "post",
    path: `${DEVICE}${below}`,
    maxFormBytes: MAX_FORM_BYTES,
    answer: async (request) => {
      const device = await shownDevice(request.api, request.parameters["id"] ?? "");
      const answered = await does(request, device);
      return typeof answered === "string"
        ? { seeOther: answered }
        : { status: 200, page: answered };
    },
  };
}

/** What is refused is said in the form that it was typed into. */
async function orProperties(
  api: ConsoleApi,
  device: ShownDevice,
  form: Readonly<Record<string, unknown>>,
  answer: () => Promise<Html | string>,
): Promise<Html | string> {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof ApiRefusal) || [403, 404].includes(error.status)) throw error;
    return await propertiesPage(api, device, { form, problem: error.message });
  }
}

function offered(api: ConsoleApi, name: unknown) {
  const action = OFFERED_ACTIONS.find((each) => each.name === name);
  if (action === undefined) {
    throw new ApiRefusal(404, "not-found", "There is no such action");
  }
  requirePermission(api, action.permission);
  return action;
}

const KEY = /^[0-9a-f-]{36}$/;

/** What is refused is shown with the question, so that nobody looks for it in a list. */
async function askForAction({ api, parameters, form }: PageRequest): Promise<PageAnswer> {
  const device = await shownDevice(api, parameters["id"] ?? "");
  const action = offered(api, form["action"]);
  const key = String(form["key"] ?? "");
  if (!KEY.test(key)) throw new ApiRefusal(400, "body-invalid", "The form was not sent whole");
  try {
    await ask(api, device, { action, key });
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    const { status, message } = error;
    return { status, page: confirmationPage(api, device, { action, key, problem: message }) };
  }
  return { seeOther: `${pagePath(device, "/actions")}?asked=${action.name}` };
}

async function cancel({ api, parameters }: PageRequest): Promise<PageAnswer> {
  const device = await shownDevice(api, parameters["id"] ?? "");
  const id = encodeURIComponent(parameters["operationId"] ?? "");
  await api.post(`/configurationManagerClientOperations/${id}/cancel`, undefined);
  return { seeOther: pagePath(device, "/actions") };
}

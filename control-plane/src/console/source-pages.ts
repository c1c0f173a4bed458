import {
  applicationConfirmation,
  applicationPage,
  applicationsPage,
  askForApplication,
} from "./application-pages.ts";
import { boundaryGroupsPage } from "./boundary-group-page.ts";
import { notificationConfirmation, notifyCollection } from "./collection-notification.ts";
import { collectionPage, collectionsPage } from "./collection-pages.ts";
import { ApiRefusal } from "./console-api.ts";
import type { Html } from "./html.ts";
import { cancelOperation, operationPage, operationsPage } from "./operation-page.ts";
import type { Page, PageAnswer, PageRequest } from "./page.ts";
import { queryPage } from "./query-page.ts";
import { askQuery, queriesPage } from "./query-pages.ts";
import { runScript, scriptConfirmation, scriptPage, scriptsPage } from "./script-pages.ts";
import { type ShownSource, shownSource, sourcePath } from "./source-frame.ts";
import { sourcePage } from "./source-page.ts";
import { sourcesPage } from "./sources-page.ts";

/** The pages of sources: `/sources` and below. */

const SOURCE = "/sources/:id";
/** A query or the parameters of a script, percent-encoded. */
const MAX_FORM_BYTES = 65_536;

export const SOURCE_PAGES: readonly Page[] = [
  {
    method: "get",
    path: "/sources",
    answer: async ({ api }) => ({ status: 200, page: await sourcesPage(api) }),
  },
  shows("", ({ api, query }, source) => sourcePage(api, source, query)),
  shows("/collections", ({ api, query }, source) => collectionsPage(api, source, query)),
  shows("/collections/:record", ({ api, query, parameters }, source) =>
    collectionPage(api, source, { id: parameters["record"] ?? "", query }),
  ),
  gets("/collections/:record/notify", async ({ api, query, parameters }, source) => {
    const of = { id: parameters["record"] ?? "", fields: query };
    return { status: 200, page: await notificationConfirmation(api, source, of) };
  }),
  does("/collections/:record/notify", notify),
  shows("/boundary-groups", ({ api, query }, source) => boundaryGroupsPage(api, source, query)),
  shows("/scripts", ({ api, query }, source) => scriptsPage(api, source, query)),
  shows("/scripts/:record", ({ api, query, parameters }, source) =>
    scriptPage(api, source, { id: parameters["record"] ?? "", typed: query }),
  ),
  does("/scripts/:record/confirm", confirmScript),
  does("/scripts/:record/run", async ({ api, form, parameters }, source) => {
    const id = await runScript(api, source, { id: parameters["record"] ?? "", form });
    return { seeOther: sourcePath(source, `/actions/${encodeURIComponent(id)}`) };
  }),
  shows("/applications", ({ api, query }, source) => applicationsPage(api, source, query)),
  shows("/applications/:record", ({ api, query, parameters }, source) =>
    applicationPage(api, source, { id: parameters["record"] ?? "", typed: query }),
  ),
  gets("/applications/:record/confirm", confirmApplication),
  does("/applications/:record/ask", async ({ api, form, parameters }, source) => {
    const id = await askForApplication(api, source, { id: parameters["record"] ?? "", form });
    return { seeOther: sourcePath(source, `/actions/${encodeURIComponent(id)}`) };
  }),
  shows("/queries", ({ api, query }, source) =>
    queriesPage(api, source, { typed: query, page: query.get("page") ?? undefined }),
  ),
  does("/queries", ask),
  gets("/queries/:operation", async ({ api, query, parameters }, source) => ({
    status: 200,
    chunks: await queryPage(api, source, { id: parameters["operation"] ?? "", query }),
  })),
  shows("/actions", ({ api, query }, source) => operationsPage(api, source, query)),
  shows("/actions/:operation", ({ api, query, parameters }, source) =>
    operationPage(api, source, { id: parameters["operation"] ?? "", query }),
  ),
  does("/actions/:operation/cancel", async ({ api, parameters }, source) => ({
    seeOther: await cancelOperation(api, source, parameters["operation"] ?? ""),
  })),
];

type Answer = (request: PageRequest, source: ShownSource) => Promise<PageAnswer>;

function gets(below: string, answer: Answer): Page {
  return { method: "get", path: `${SOURCE}${below}`, answer: ofSource(answer) };
}

function does(below: string, answer: Answer): Page {
  const path = `${SOURCE}${below}`;
  return { method: "post", path, maxFormBytes: MAX_FORM_BYTES, answer: ofSource(answer) };
}

function shows(
  below: string,
  show: (request: PageRequest, source: ShownSource) => Promise<Html>,
): Page {
  return gets(below, async (request, source) => ({
    status: 200,
    page: await show(request, source),
  }));
}

function ofSource(answer: Answer) {
  return async (request: PageRequest): Promise<PageAnswer> =>
    answer(request, await shownSource(request.api, request.parameters["id"] ?? ""));
}

/** What is refused is said in the form that it was typed into. */
async function orForm(
  answer: () => Promise<PageAnswer>,
  form: (problem: string) => Promise<Html>,
): Promise<PageAnswer> {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof ApiRefusal) || error.status === 404) throw error;
    return { status: error.status, page: await form(error.message) };
  }
}

async function confirmScript(
  { api, form, parameters }: PageRequest,
  source: ShownSource,
): Promise<PageAnswer> {
  const id = parameters["record"] ?? "";
  return await orForm(
    async () => ({ status: 200, page: await scriptConfirmation(api, source, { id, form }) }),
    (problem) => scriptPage(api, source, { id, typed: form, problem }),
  );
}

async function confirmApplication(
  { api, query, parameters }: PageRequest,
  source: ShownSource,
): Promise<PageAnswer> {
  const id = parameters["record"] ?? "";
  return await orForm(
    async () => ({ status: 200, page: await applicationConfirmation(api, source, { id, query }) }),
    (problem) => applicationPage(api, source, { id, typed: query, problem }),
  );
}

async function notify(
  { api, form, parameters }: PageRequest,
  source: ShownSource,
): Promise<PageAnswer> {
  const id = parameters["record"] ?? "";
  return await orForm(
    async () => {
      const made = await notifyCollection(api, source, { id, form });
      return { seeOther: sourcePath(source, `/actions/${encodeURIComponent(made)}`) };
    },
    (problem) => notificationConfirmation(api, source, { id, fields: form, problem }),
  );
}

async function ask({ api, form }: PageRequest, source: ShownSource): Promise<PageAnswer> {
  return await orForm(
    async () => {
      const id = await askQuery(api, source, form);
      return { seeOther: sourcePath(source, `/queries/${encodeURIComponent(id)}`) };
    },
    (problem) => queriesPage(api, source, { typed: form, problem }),
  );
}

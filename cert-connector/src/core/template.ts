import { RefusalError } from "@isthmus/shared/errors";
import type { Grant } from "./grant.ts";

const VARIABLE = /\{\{([^{}]*)\}\}/g;

/**
 * Replaces `{{deviceId}}`, `{{userPrincipalName}}`, `{{userName}}`, `{{userDomain}}` and `{{requestedCommonName}}`. In a
 * subject it is applied to each attribute value after the template was parsed, so no value can add an attribute.
 * Throws RefusalError where the template names what the grant does not hold.
 */
export function fillTemplate(template: string, grant: Grant): string {
  return template.replace(VARIABLE, (_, name: string) => {
    const value = variable(name.trim(), grant);
    if (value === undefined || value === "") {
      throw new RefusalError(
        "template-variable-missing",
        "profile.template",
        `The template needs "${name}", which the challenge does not bring`,
      );
    }
    return value;
  });
}

function variable(name: string, grant: Grant): string | undefined {
  switch (name) {
    case "deviceId":
      return grant.deviceId;
    case "userPrincipalName":
      return grant.userPrincipalName;
    case "userName":
      return grant.userPrincipalName?.split("@")[0];
    case "userDomain":
      return grant.userPrincipalName?.split("@")[1];
    case "requestedCommonName":
      return grant.requestedCommonName;
    default:
      return undefined;
  }
}

import { z } from "zod";

/** How local things are named, so that the cloud's configuration can refer to them. */
export const localName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "1 to 64 letters, digits, '.', '_' or '-'");

/** The optional package `kerberos`, which is built on the machine from the system's own library. */
export const loadKerberos = (): Promise<unknown> => import("kerberos");

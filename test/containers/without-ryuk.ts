/**
 * testcontainers cleans up through a container of its own, whose image comes from a registry; the tests remove what they
 * make themselves. Read when the library is loaded, so this file is imported before it.
 */
process.env["TESTCONTAINERS_RYUK_DISABLED"] ??= "true";

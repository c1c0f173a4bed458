/** A boundary group that a device is in; without a record where its site tells of none by that name. */
export interface BoundaryGroup {
  readonly name: string;
  readonly recordId: number | null;
  readonly key: string | null;
}

/** A boundary group of the device's site. */
export interface KnownBoundaryGroup {
  readonly name: string;
  readonly recordId: number;
  readonly key: string;
}

/** Own limits. */
export const MAX_BOUNDARY_GROUPS = 1_000;
/** Commas in the name of a group, one more. */
const MAX_PARTS_OF_NAME = 16;

/**
 * The groups that a site lists for a device: names with commas between ("Show boundary groups for devices" in the documentation of
 * Configuration Manager). A name may have commas of its own, so the longest one that the site has goes before shorter ones. A name that
 * several of its groups have is told without a record. Names beyond `MAX_BOUNDARY_GROUPS` are left out, and `isCut` says so.
 */
export function boundaryGroupsNamed(
  text: string,
  known: readonly KnownBoundaryGroup[],
): { readonly groups: readonly BoundaryGroup[]; readonly isCut: boolean } {
  const byName = new Map<string, KnownBoundaryGroup[]>();
  for (const each of known) {
    const name = each.name.trim();
    byName.set(name, [...(byName.get(name) ?? []), each]);
  }
  const parts = text.split(",", MAX_BOUNDARY_GROUPS * MAX_PARTS_OF_NAME + 1);
  const groups = new Map<string, BoundaryGroup>();
  for (let from = 0; from < parts.length; ) {
    if (groups.size === MAX_BOUNDARY_GROUPS) return { groups: [...groups.values()], isCut: true };
    const taken = partsOfName(parts, from, byName);
    const name = nameOf(parts, from, taken);
    if (name !== "") groups.set(name, groupOf(name, byName.get(name) ?? []));
    from += taken;
  }
  const isCut = parts.length > MAX_BOUNDARY_GROUPS * MAX_PARTS_OF_NAME;
  return { groups: [...groups.values()], isCut };
}

/** Of how many parts the name consists that begins here. */
function partsOfName(
  parts: readonly string[],
  from: number,
  known: ReadonlyMap<string, unknown>,
): number {
  for (let count = Math.min(MAX_PARTS_OF_NAME, parts.length - from); count > 1; count -= 1) {
    if (known.has(nameOf(parts, from, count))) return count;
  }
  return 1;
}

function nameOf(parts: readonly string[], from: number, count: number): string {
  return parts
    .slice(from, from + count)
    .join(",")
    .trim();
}

function groupOf(name: string, found: readonly KnownBoundaryGroup[]): BoundaryGroup {
  const [only] = found;
  if (only === undefined || found.length > 1) return { name, recordId: null, key: null };
  return { name, recordId: only.recordId, key: only.key };
}

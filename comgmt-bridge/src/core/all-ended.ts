/**
 * As `Promise.all`, but it fails only when all have ended: what is then asked for once more is not asked for beside itself. Throws what the first
 * to fail threw.
 */
export async function allEnded<Made>(steps: readonly Promise<Made>[]): Promise<Made[]> {
  try {
    return await Promise.all(steps);
  } catch (error) {
    await Promise.allSettled(steps);
    throw error;
  }
}

/** What takes its turn in each round, e.g. a service or its peer. */
export interface Subject<Sample> {
  readonly name: string;
  run(round: number): Promise<Sample>;
}

/**
 * Runs every subject once per round and turns the order by one each round, so that neither a drift of the machine nor the
 * place in the order favours one of them. Returns the samples of each subject in the order of the rounds.
 */
export async function interleave<Sample>(
  rounds: number,
  subjects: readonly Subject<Sample>[],
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % subjects.length;
    for (const subject of [...subjects.slice(first), ...subjects.slice(0, first)]) {
      samples.get(subject.name)?.push(await subject.run(round));
    }
  }
  return samples;
}

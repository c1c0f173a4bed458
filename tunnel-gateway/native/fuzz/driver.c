/*
 * driver.c: runs one target with inputs made from a seed: the same seed, the same inputs. An input is a corpus file, one of the
 * target's own, or an earlier one, changed a few times.
 *
 *   TARGET --runs N --seed S [--seconds T] [--corpus FOLDER]     TARGET --file INPUT
 */
#include <dirent.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "fuzz.h"

#define INPUT_AT_MOST 8192
#define POOL_AT_MOST 256
#define CHANGES_AT_MOST 6

struct input {
  uint8_t bytes[INPUT_AT_MOST];
  size_t length;
};

static struct input pool[POOL_AT_MOST];
static size_t pool_count, corpus_count;
static uint64_t state;
static struct input current;
static const char *target;

void __sanitizer_set_death_callback(void (*callback)(void));

/* The input that ended the process stays in a file; `--file` runs it again. */
static void keep_current(void) {
  char path[512];
  snprintf(path, sizeof path, "%s.failed", target);
  FILE *file = fopen(path, "wb");
  if (file == NULL) return;
  fwrite(current.bytes, 1, current.length, file);
  fclose(file);
  fprintf(stderr, "the input is in %s\n", path);
}

static void on_abort(int number) {
  keep_current();
  signal(number, SIG_DFL);
  raise(number);
}

static size_t below(size_t bound) { return (size_t)(fuzz_random(&state) % bound); }

static void read_input(const char *path, struct input *input) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  input->length = fread(input->bytes, 1, INPUT_AT_MOST, file);
  fclose(file);
}

static int by_name(const struct dirent **one, const struct dirent **other) { return strcmp((*one)->d_name, (*other)->d_name); }

static void read_corpus(const char *folder) {
  struct dirent **names;
  int count = scandir(folder, &names, NULL, by_name);
  for (int at = 0; at < count; at++) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, names[at]->d_name);
    if (names[at]->d_name[0] != '.' && pool_count < POOL_AT_MOST) read_input(path, &pool[pool_count++]);
    free(names[at]);
  }
  if (count >= 0) free(names);
  corpus_count = pool_count;
}

static uint64_t interesting(void) {
  static const uint64_t numbers[] = {0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0xffffffff};
  uint64_t number = numbers[below(sizeof numbers / sizeof *numbers)];
  return below(4) == 0 ? (uint64_t)below(INPUT_AT_MOST) : number;
}

static void write_number(struct input *input) {
  size_t bytes = (size_t)1 << below(3), at = below(input->length);
  uint64_t number = interesting();
  for (size_t byte = 0; byte < bytes && at + byte < input->length; byte++)
    input->bytes[at + byte] = (uint8_t)(number >> 8 * (bytes - 1 - byte));
}

/* Takes out or doubles a piece, or cuts the end off. */
static void change_length(struct input *input) {
  size_t at = below(input->length), size = 1 + below(input->length - at < 64 ? input->length - at : 64);
  size_t behind = input->length - at;
  if (below(3) == 0) {
    input->length = at;
  } else if (below(2) == 0) {
    memmove(input->bytes + at, input->bytes + at + size, behind - size);
    input->length -= size;
  } else if (input->length + size <= INPUT_AT_MOST) {
    memmove(input->bytes + at + size, input->bytes + at, behind);
    input->length += size;
  }
}

static void splice(struct input *input) {
  if (pool_count == 0) return;
  const struct input *other = &pool[below(pool_count)];
  if (other->length == 0) return;
  size_t from = below(other->length), at = below(input->length);
  size_t size = 1 + below(other->length - from);
  if (at + size > INPUT_AT_MOST) size = INPUT_AT_MOST - at;
  memcpy(input->bytes + at, other->bytes + from, size);
  if (at + size > input->length) input->length = at + size;
}

static void change(struct input *input) {
  if (input->length == 0) input->length = fuzz_random_bytes(&state, input->bytes, 1 + below(64));
  switch (below(6)) {
    case 0: input->bytes[below(input->length)] ^= (uint8_t)(1 << below(8)); break;
    case 1: input->bytes[below(input->length)] = (uint8_t)fuzz_random(&state); break;
    case 2: input->bytes[below(input->length)] += (uint8_t)(below(2) == 0 ? 1 : 255); break;
    case 3: write_number(input); break;
    case 4: change_length(input); break;
    default: splice(input);
  }
}

static void make_input(uint64_t run) {
  if (run < corpus_count) {
    current = pool[run];
    return;
  }
  bool has_generator = fuzz_generate != NULL, is_fresh = pool_count == 0 || below(2) == 0;
  if (has_generator && is_fresh) {
    current.length = fuzz_generate(fuzz_random(&state), current.bytes, INPUT_AT_MOST);
  } else if (pool_count > 0) {
    const struct input *from = &pool[below(pool_count)];
    memcpy(current.bytes, from->bytes, current.length = from->length);
  } else {
    current.length = fuzz_random_bytes(&state, current.bytes, below(128));
  }
  /* A quarter stays as it was made: good input has to pass through deeply. */
  if (!has_generator || below(4) != 0)
    for (size_t changes = 1 + below(CHANGES_AT_MOST); changes > 0; changes--) change(&current);
  /* Corpus files stay in the pool, the rest of it is renewed. */
  if (below(16) != 0 || corpus_count == POOL_AT_MOST) return;
  size_t at = pool_count < POOL_AT_MOST ? pool_count++ : corpus_count + below(POOL_AT_MOST - corpus_count);
  memcpy(pool[at].bytes, current.bytes, pool[at].length = current.length);
}

static void run_current(void) {
  uint8_t *bytes = fuzz_copy(current.bytes, current.length);
  LLVMFuzzerTestOneInput(bytes, current.length);
  free(bytes);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **words) {
  uint64_t runs = 100000, seed = 1;
  double seconds = 0;
  target = words[0];
  signal(SIGABRT, on_abort);
  __sanitizer_set_death_callback(keep_current);
  for (int at = 1; at + 1 < count; at += 2) {
    const char *name = words[at], *value = words[at + 1];
    if (strcmp(name, "--runs") == 0) runs = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seed") == 0) seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0) seconds = strtod(value, NULL);
    else if (strcmp(name, "--corpus") == 0) read_corpus(value);
    else if (strcmp(name, "--file") == 0) {
      read_input(value, &current);
      run_current();
      return 0;
    }
  }
  state = seed;
  double started = now();
  uint64_t run = 0;
  for (; run < runs; run++) {
    if (seconds > 0 && run % 256 == 0 && now() - started >= seconds) break;
    make_input(run);
    run_current();
  }
  printf("%llu runs in %.1f s, seed %llu\n", (unsigned long long)run, now() - started, (unsigned long long)seed);
  return 0;
}

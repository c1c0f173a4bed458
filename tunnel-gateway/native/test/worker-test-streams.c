#include "worker-scene.h"
void stream_cases(void) {}

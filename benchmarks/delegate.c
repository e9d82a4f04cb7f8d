/* A TFLite delegate that computes with the runtime's own kernels, and can be told to misbehave.
 *
 * It claims operators and calls, for each, the very kernel that would have run without it: its numbers are
 * those of the built-in kernels, for any model. What a delegate can do wrong is then an option away. Stands
 * in for hardware in tests and benchmarks. `benchmarks/stand_in_delegate.py` compiles it.
 *
 * Options (keys and values are text):
 *   claim=first | all | none | NUMBERS   which operators: the first that runs, all, none, or those whose
 *                                        built-in code is listed, such as 3,4 (convolutions); default first
 *   claim_upto=N        no more than N of them
 *   sleep_ms=N          each inference takes N ms longer
 *   hang=PATH           as long as this file exists, an inference does not end
 *   wrong=1             the values of each claimed output are reversed
 *   fail=TEXT           cannot be created, and says TEXT
 *   fail_prepare=1      refuses every model
 *   fail_invoke=PATH    as long as this file exists, an inference fails
 *
 * The structs below are those parts of TFLite's C interface that the runtimes promise to keep in order
 * (tensorflow/lite/core/c/common.h: "semi-ABI stable"), declared here because no wheel ships the header.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, ERROR = 1 };

typedef struct { int size; int data[]; } IntArray;

typedef struct {
  int type;
  union { void *raw; uint64_t wide; } data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  void *delegate;
  int buffer_handle;
  bool data_is_stale, is_variable;
  struct { int type; void *params; } quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;

typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void *custom_initial_data;
  int custom_initial_data_size;
  void *delegate;
  bool might_have_side_effect;
} Node;

typedef struct Context Context;

typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *external;
  void *async_kernel;
  uint64_t inplace;
} Registration;

struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  int (*ResizeTensor)(Context *, Tensor *, IntArray *);
  void (*ReportError)(Context *, const char *, ...);
  int (*AddTensors)(Context *, int, int *);
  int (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *, void *);
};

typedef struct Delegate {
  void *data;
  int (*Prepare)(Context *, struct Delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *opaque;
} Delegate;

typedef struct {
  Delegate *delegate;
  IntArray *nodes_to_replace, *input_tensors, *output_tensors;
} DelegateParams;

/* What the caller asked for; `kernels` counts the partitions, so that only the first sleeps and hangs. */
typedef struct {
  char claim[256], hang[1024], fail_invoke[1024];
  long claim_upto, sleep_ms;
  bool wrong, fail_prepare;
  int kernels;
} Options;

/* One partition: copies of the nodes it replaces, in the order they run. */
typedef struct {
  Options *options;
  bool is_first;
  int count;
  Node *nodes;
  Registration *registrations;
  IntArray *inner; /* tensors that only lie between the nodes: the arena no longer knows them */
} Kernel;

static IntArray *new_array(int size) {
  IntArray *made = malloc(sizeof(IntArray) + sizeof(int) * (size_t)size);
  made->size = size;
  return made;
}

static IntArray *copy_array(const IntArray *array) {
  IntArray *made = new_array(array ? array->size : 0);
  if (array) memcpy(made->data, array->data, sizeof(int) * (size_t)array->size);
  return made;
}

static bool contains(const IntArray *array, int value) {
  for (int i = 0; i < array->size; i++)
    if (array->data[i] == value) return true;
  return false;
}

static void pause_ms(long milliseconds) {
  struct timespec left = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
  while (nanosleep(&left, &left)) continue;
}

static void *kernel_init(Context *context, const char *buffer, size_t length) {
  (void)length;
  const DelegateParams *params = (const DelegateParams *)buffer;
  Kernel *kernel = calloc(1, sizeof *kernel);
  kernel->options = params->delegate->data;
  kernel->is_first = kernel->options->kernels++ == 0;
  kernel->count = params->nodes_to_replace->size;
  kernel->nodes = calloc((size_t)kernel->count, sizeof(Node));
  kernel->registrations = calloc((size_t)kernel->count, sizeof(Registration));
  int made = 0;
  for (int i = 0; i < kernel->count; i++) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, params->nodes_to_replace->data[i], &node, &registration))
      abort();
    /* A copy with a state of its own: the runtime moves its nodes when it adds some, and takes the scratch
       tensors away from those that are replaced. */
    Node *copy = &kernel->nodes[i];
    *copy = *node;
    copy->temporaries = new_array(0);
    memcpy(&kernel->registrations[i], registration, offsetof(Registration, external));
    if (registration->init && registration->custom_name)
      copy->user_data = registration->init(context, node->custom_initial_data,
                                           (size_t)node->custom_initial_data_size);
    else if (registration->init)
      copy->user_data = registration->init(context, node->builtin_data, 0);
    made += node->outputs->size;
  }
  kernel->inner = new_array(made);
  kernel->inner->size = 0;
  for (int i = 0; i < kernel->count; i++) {
    const IntArray *outputs = kernel->nodes[i].outputs;
    for (int j = 0; j < outputs->size; j++)
      if (!contains(params->output_tensors, outputs->data[j]))
        kernel->inner->data[kernel->inner->size++] = outputs->data[j];
  }
  return kernel;
}

static void kernel_free(Context *context, void *buffer) {
  Kernel *kernel = buffer;
  for (int i = 0; i < kernel->count; i++) {
    if (kernel->registrations[i].free)
      kernel->registrations[i].free(context, kernel->nodes[i].user_data);
    free(kernel->nodes[i].temporaries);
  }
  free(kernel->nodes);
  free(kernel->registrations);
  free(kernel->inner);
  free(kernel);
}

static int kernel_prepare(Context *context, Node *node) {
  Kernel *kernel = node->user_data;
  int size = kernel->inner->size;
  for (int i = 0; i < kernel->count; i++) {
    if (kernel->registrations[i].prepare && kernel->registrations[i].prepare(context, &kernel->nodes[i]))
      return ERROR;
    size += kernel->nodes[i].temporaries->size;
  }
  /* the arena gives memory to the temporaries of the node that runs: this one */
  IntArray *all = copy_array(kernel->inner);
  all = realloc(all, sizeof(IntArray) + sizeof(int) * (size_t)size);
  for (int i = 0; i < kernel->count; i++)
    for (int j = 0; j < kernel->nodes[i].temporaries->size; j++)
      all->data[all->size++] = kernel->nodes[i].temporaries->data[j];
  free(node->temporaries);
  node->temporaries = all;
  return OK;
}

static void reverse(Tensor *tensor) {
  static const size_t widths[] = {[1] = 4, [2] = 4, [3] = 1, [4] = 8, [7] = 2, [9] = 1};
  size_t width = (size_t)tensor->type < sizeof widths / sizeof *widths ? widths[tensor->type] : 0;
  if (!width) return;
  char *start = tensor->data.raw, *end = start + tensor->bytes - width, held[8];
  for (; start < end; start += width, end -= width) {
    memcpy(held, start, width);
    memcpy(start, end, width);
    memcpy(end, held, width);
  }
}

static int kernel_invoke(Context *context, Node *node) {
  Kernel *kernel = node->user_data;
  const Options *options = kernel->options;
  if (kernel->is_first) {
    if (options->fail_invoke[0] && access(options->fail_invoke, F_OK) == 0) {
      context->ReportError(context, "the delegate was told to fail");
      return ERROR;
    }
    if (options->sleep_ms > 0) pause_ms(options->sleep_ms);
    while (options->hang[0] && access(options->hang, F_OK) == 0) pause_ms(2);
  }
  for (int i = 0; i < kernel->count; i++)
    if (kernel->registrations[i].invoke(context, &kernel->nodes[i])) return ERROR;
  for (int i = 0; options->wrong && i < node->outputs->size; i++)
    reverse(&context->tensors[node->outputs->data[i]]);
  return OK;
}

static bool is_claimed(const Options *options, const Registration *registration) {
  if (!strcmp(options->claim, "all") || !strcmp(options->claim, "first")) return true;
  for (const char *at = options->claim; *at;) {
    char *end;
    long code = strtol(at, &end, 10);
    if (end == at) return false;
    if (code == registration->builtin_code) return true;
    at = *end ? end + 1 : end;
  }
  return false;
}

static int delegate_prepare(Context *context, Delegate *delegate) {
  Options *options = delegate->data;
  IntArray *plan;
  if (options->fail_prepare || context->GetExecutionPlan(context, &plan)) {
    context->ReportError(context, "the delegate refuses this model");
    return ERROR;
  }
  plan = copy_array(plan);
  IntArray *claimed = new_array(plan->size);
  claimed->size = 0;
  long most = !strcmp(options->claim, "first") ? 1 : options->claim_upto;
  for (int i = 0; i < plan->size && claimed->size < most; i++) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration)) return ERROR;
    if (!node->delegate && is_claimed(options, registration))
      claimed->data[claimed->size++] = plan->data[i];
  }
  Registration own = {.init = kernel_init, .free = kernel_free, .prepare = kernel_prepare,
                      .invoke = kernel_invoke, .custom_name = "StandInDelegate", .version = 1};
  int done = claimed->size
                 ? context->ReplaceNodeSubsetsWithDelegateKernels(context, own, claimed, delegate)
                 : OK;
  free(claimed);
  free(plan);
  return done;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                        void (*report_error)(const char *)) {
  Options *options = calloc(1, sizeof *options);
  strcpy(options->claim, "first");
  options->claim_upto = 1L << 30;
  for (size_t i = 0; i < count; i++) {
    const char *key = keys[i], *value = values[i];
    if (!strcmp(key, "claim")) strncpy(options->claim, value, sizeof options->claim - 1);
    else if (!strcmp(key, "claim_upto")) options->claim_upto = atol(value);
    else if (!strcmp(key, "sleep_ms")) options->sleep_ms = atol(value);
    else if (!strcmp(key, "hang")) strncpy(options->hang, value, sizeof options->hang - 1);
    else if (!strcmp(key, "wrong")) options->wrong = atol(value) != 0;
    else if (!strcmp(key, "fail_prepare")) options->fail_prepare = atol(value) != 0;
    else if (!strcmp(key, "fail_invoke"))
      strncpy(options->fail_invoke, value, sizeof options->fail_invoke - 1);
    else {
      report_error(!strcmp(key, "fail") ? value : "an option is unknown");
      free(options);
      return NULL;
    }
  }
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->data = options;
  delegate->Prepare = delegate_prepare;
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) {
  if (!delegate) return;
  free(delegate->data);
  free(delegate);
}

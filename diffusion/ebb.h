// The whole library: #include <ebb/ebb.h>.
#pragma once

#include <ebb/diffusion/guidance/denoiser.h>
#include <ebb/diffusion/guidance/guidance.h>
#include <ebb/diffusion/losses/objective.h>
#include <ebb/diffusion/losses/variational_bound.h>
#include <ebb/diffusion/metrics/likelihood.h>
#include <ebb/diffusion/metrics/metrics.h>
#include <ebb/diffusion/models/classifier.h>
#include <ebb/diffusion/models/tutorial_unet.h>
#include <ebb/diffusion/models/unet2d.h>
#include <ebb/diffusion/samplers/editing.h>
#include <ebb/diffusion/samplers/registry.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/diffusion/schedules/training_times.h>
#include <ebb/nn/layers/layers.h>
#include <ebb/nn/optim/learning_rate.h>
#include <ebb/nn/training/batch_loader.h>
#include <ebb/nn/training/gradient_buckets.h>
#include <ebb/nn/training/trainer.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/io/safetensors.h>
#include <ebb/tensor/print.h>
#include <ebb/tensor/threads.h>
#include <ebb/tensor/weight_cache.h>

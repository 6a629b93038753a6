"""The steps of bench_text_and_latents.cpp by diffusers' and transformers' own classes."""


def trained(torch, parameters, loss, optimizers):
    """AdamW, clipped gradients and an average of the weights, as ebb's trainer has them."""
    average = [p.detach().clone() for p in parameters]
    optimizer = optimizers(torch, torch.optim.AdamW, parameters, lr=1e-3)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        torch._foreach_mul_(average, 0.999)
        torch._foreach_add_(average, [p.detach() for p in parameters], alpha=0.001)

    return step


def only_known(config, kind):
    import inspect
    return {k: v for k, v in config.items() if k in inspect.signature(kind.__init__).parameters}


def text_model(work):
    from transformers import CLIPTextConfig, CLIPTextModel
    return CLIPTextModel(CLIPTextConfig(**{k: v for k, v in work["text"].items() if k not in ("architectures", "model_type")}))


def laid_out(torch, model, layout):
    return model.to(memory_format=torch.channels_last) if layout == "channels_last" else model


def text_to_image(torch, work, images, layout, compiled, optimizers):
    from diffusers import UNet2DConditionModel
    text = text_model(work)
    unet = laid_out(torch, UNet2DConditionModel(**only_known(work["config"], UNet2DConditionModel)), layout)
    networks = [torch.compile(n) if compiled else n for n in (text, unet)]
    tokens = torch.randint(work["text"]["vocab_size"], (len(images), work["text"]["max_position_embeddings"]))

    def loss():
        t = torch.rand(len(images))
        alpha, sigma = (f(t * 1.57)[:, None, None, None] for f in (torch.cos, torch.sin))
        noise = torch.randn_like(images)
        states = networks[0](tokens).last_hidden_state
        y = networks[1](alpha * images + sigma * noise, t * 1000, states, class_labels=states[:, -1]).sample
        return torch.nn.functional.mse_loss(y, alpha * noise - sigma * images)

    return trained(torch, [*text.parameters(), *unet.parameters()], loss, optimizers)


def text_encoder(torch, work, images, layout, compiled, optimizers):
    text = text_model(work)
    network = torch.compile(text) if compiled else text
    tokens = torch.randint(work["text"]["vocab_size"], work["x"])
    loss = lambda: network(tokens).last_hidden_state.square().mean()
    return trained(torch, list(text.parameters()), loss, optimizers)


def autoencoder(torch, work, images, layout, compiled, optimizers):
    from diffusers import AutoencoderKL
    model = laid_out(torch, AutoencoderKL(**only_known(work["config"], AutoencoderKL)), layout)

    def both(x, eps):
        latents = model.encode(x).latent_dist
        return model.decode(latents.mean + latents.std * eps).sample, latents.kl()

    network = torch.compile(both) if compiled else both
    n, _, h, w = images.shape
    factor = 2 ** (len(work["config"]["block_out_channels"]) - 1)

    def loss():
        y, kl = network(images, torch.randn(n, work["config"]["latent_channels"], h // factor, w // factor))
        return torch.nn.functional.mse_loss(y, images) + 1e-6 * kl.mean()

    return trained(torch, list(model.parameters()), loss, optimizers)


STEPS = dict(text_to_image=text_to_image, text_encoder=text_encoder, autoencoder=autoencoder)

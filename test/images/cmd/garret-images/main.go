// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command garret-images builds the container images of Garret and its tests
// from built binaries, and pushes them to a registry.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"garret.dev/garret/test/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{Use: "garret-images", SilenceUsage: true, SilenceErrors: true}
	var bin string
	var older []string
	var versions images.Versions
	flags := root.PersistentFlags()
	flags.StringVar(&bin, "bin", "bin", "Folder of the built binaries.")
	flags.StringVar(&versions.Garret, "garret-version", "v0.1.0", "Tag of Garret's own images.")
	flags.StringVar(&versions.Kubernetes, "kubernetes-version", "v1.37.2", "Tag of the control plane's images.")
	flags.StringSliceVar(&older, "older", nil, "Releases of older minors: the control planes of these, in place of all other images.")
	flags.StringVar(&versions.CoreDNS, "coredns-version", "v1.15.0", "Tag of the CoreDNS image.")
	flags.StringVar(&versions.Traefik, "traefik-version", "v3.6.12", "Tag of the Traefik image.")
	flags.StringVar(&versions.CertManager, "cert-manager-version", "v1.21.2", "Tag of cert-manager's images.")
	flags.StringVar(&versions.Pebble, "pebble-version", "2.10.3", "Tag of the pebble image.")
	catalogue := func() []images.Image {
		if len(older) == 0 {
			return images.Catalogue(versions)
		}
		var list []images.Image
		for _, release := range older {
			list = append(list, images.Older(release)...)
		}
		return list
	}
	root.AddCommand(build(&bin, catalogue), push(&bin, catalogue), conformance(&bin))
	return root
}

func build(bin *string, catalogue func() []images.Image) *cobra.Command {
	var out string
	var addOns bool
	cmd := &cobra.Command{
		Use:   "build [NAME...]",
		Short: "Write an archive for each image, where its binaries are newer than it",
		RunE: func(cmd *cobra.Command, args []string) error {
			return each(catalogue(), args, addOns, func(image images.Image) error {
				archive, written, err := images.Write(image, *bin, out)
				if err == nil && written {
					fmt.Fprintln(cmd.OutOrStdout(), archive)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", filepath.Join("bin", "images"), "Folder for the archives.")
	cmd.Flags().BoolVar(&addOns, "addons", false, "Without names, build those that only some tests want, in place of all others.")
	return cmd
}

func conformance(bin *string) *cobra.Command {
	var out, source, listen string
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Write one archive of the images that Kubernetes' conformance suite asks for, or serve them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := images.Conformance(source)
			if listen != "" {
				return images.Serve(cmd.Context(), list, *bin, listen)
			}
			archive, written, err := images.WriteAll("conformance", list, *bin, out)
			if err == nil && written {
				fmt.Fprintln(cmd.OutOrStdout(), archive)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "Folder for the archive.")
	cmd.Flags().StringVar(&listen, "serve", "", "Address of a registry that serves the images until the program is ended.")
	cmd.Flags().StringVar(&source, "source", "", "Folder of the module k8s.io/kubernetes.")
	cmd.MarkFlagsOneRequired("out", "serve")
	cmd.MarkFlagsMutuallyExclusive("out", "serve")
	_ = cmd.MarkFlagRequired("source")
	return cmd
}

func push(bin *string, catalogue func() []images.Image) *cobra.Command {
	var registry string
	cmd := &cobra.Command{
		Use:   "push [NAME...]",
		Short: "Push images to a registry, under the paths of their names",
		RunE: func(cmd *cobra.Command, args []string) error {
			return each(catalogue(), args, false, func(image images.Image) error {
				pushed, err := images.Push(cmd.Context(), image, *bin, registry)
				for _, ref := range pushed {
					fmt.Fprintln(cmd.OutOrStdout(), ref)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&registry, "registry", "", "Registry to push to, as host[:port][/path].")
	_ = cmd.MarkFlagRequired("registry")
	return cmd
}

// each calls do for the images of these names, or for all that are add-ons or are not and that need not be named.
func each(catalogue []images.Image, names []string, addOns bool, do func(images.Image) error) error {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, image := range catalogue {
		if len(names) > 0 && !wanted[image.Name] || len(names) == 0 && (image.ByName || image.AddOn != addOns) {
			continue
		}
		delete(wanted, image.Name)
		if err := do(image); err != nil {
			return err
		}
	}
	for name := range wanted {
		return fmt.Errorf("there is no image %q", name)
	}
	return nil
}
